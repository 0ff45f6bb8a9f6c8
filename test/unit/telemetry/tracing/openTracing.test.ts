import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { isTracingOn, openTracing } from '../../../../src/telemetry/tracing/openTracing.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

describe('tracing', () => {
  it.each<[string, Record<string, string>]>([
    ['an endpoint', ENDPOINT],
    ['an endpoint for traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }],
    ['an exporter by name', { OTEL_TRACES_EXPORTER: 'console' }],
    ['an endpoint, and nothing against it', { ...ENDPOINT, OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: '' }],
  ])('is on with %s', (_, env) => {
    expect(isTracingOn(env)).toBe(true)
  })

  it.each<[string, Record<string, string>]>([
    ['without all of that', {}],
    ['with an empty endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: '  ' }],
    ['when the SDK is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
    ['when traces have no exporter', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
    ['with other variables alone', { OTEL_SERVICE_NAME: 'tidemark', OTEL_TRACES_SAMPLER: 'always_on' }],
  ])('is off %s', async (_, env) => {
    expect(isTracingOn(env)).toBe(false)
    expect(await openTracing({ env, role: 'aggregate', version: '1', onTrouble: () => {} })).toBeNull()
  })

  it('loads nothing of OpenTelemetry while it is off', () => {
    const file = new URL('../../../../src/commands/aggregate.ts', import.meta.url)
    const switched = new URL('../../../../src/telemetry/tracing/openTracing.ts', import.meta.url)
    // Whatever resolves a module of that scope says so.
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ resolve: (specifier, context, next) => {
        // The metrics' client has the API for exemplars; it is not the SDK, and costs nothing.
        const isForMetrics = context.parentURL?.includes('/node_modules/prom-client/')
        if (specifier.startsWith('@opentelemetry/') && !isForMetrics) loaded.push(specifier)
        return next(specifier, context)
      } })
      await import(${JSON.stringify(file)})
      const { openTracing } = await import(${JSON.stringify(switched)})
      const opened = await openTracing({ env: {}, role: 'aggregate', version: '1', onTrouble: () => {} })
      console.log(JSON.stringify({ loaded, opened }))`
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(JSON.parse(out)).toEqual({ loaded: [], opened: null })
  })
})
