import { afterEach, describe, expect, it } from 'vitest'
import { exportTimes, metricReaders } from '../../../../src/telemetry/otel/metricReader.ts'
import { RegistryMetrics } from '../../../../src/telemetry/otel/registryMetrics.ts'

const OTLP = { OTEL_METRICS_EXPORTER: 'otlp' }
const producer = new RegistryMetrics({ name: 'tidemark', version: '1' })
let made: Awaited<ReturnType<typeof metricReaders>> = []

afterEach(() => Promise.all(made.map(reader => reader.shutdown())))

async function readers(env: Record<string, string>) {
  const complaints: string[] = []
  made = await metricReaders(env, producer, message => complaints.push(message))
  return { readers: made, complaints }
}

describe('what sends metrics', () => {
  it.each([
    [{}, 60_000, 30_000],
    [{ OTEL_METRIC_EXPORT_INTERVAL: '5000' }, 5_000, 5_000],
    [{ OTEL_METRIC_EXPORT_INTERVAL: '5000', OTEL_METRIC_EXPORT_TIMEOUT: '700' }, 5_000, 700],
  ])('does so as often as %j says', (env, exportIntervalMillis, exportTimeoutMillis) => {
    const complain = () => expect.unreachable()
    expect(exportTimes(env, complain)).toEqual({ exportIntervalMillis, exportTimeoutMillis })
  })

  it.each(['http/protobuf', 'http/json', 'grpc'])('speaks %s', async protocol => {
    const { readers: found, complaints } = await readers({ ...OTLP, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol })
    expect(found).toHaveLength(1)
    expect(complaints).toEqual([])
  })

  it.each<[Record<string, string>, number, RegExp]>([
    [{ OTEL_METRICS_EXPORTER: 'prometheus' }, 0, /^OTEL_METRICS_EXPORTER: 'prometheus' .* otlp and none are known/],
    [{ OTEL_METRICS_EXPORTER: 'otlp,console' }, 1, /'console'/],
    [{ ...OTLP, OTEL_METRIC_EXPORT_INTERVAL: '-1' }, 1, /^OTEL_METRIC_EXPORT_INTERVAL: '-1' .* 60000 is taken/],
    [{ ...OTLP, OTEL_METRIC_EXPORT_TIMEOUT: 'soon' }, 1, /^OTEL_METRIC_EXPORT_TIMEOUT: 'soon'/],
    [
      { ...OTLP, OTEL_EXPORTER_OTLP_PROTOCOL: 'smoke' },
      1,
      /'smoke' is none of http\/protobuf, http\/json, grpc; http\/pro/,
    ],
  ])('passes over what it cannot do, and says so: %j', async (env, count, complaint) => {
    const { readers: found, complaints } = await readers(env)
    expect(found).toHaveLength(count)
    expect(complaints).toEqual([expect.stringMatching(complaint)])
  })
})
