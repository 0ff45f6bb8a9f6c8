import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { RUNBOOKS } from '../../scripts/dashboards/variables.ts'
import { ensureModule } from '../../scripts/tools/modules.ts'
import { loadSettings } from '../../src/config/load.ts'
import { describeWithTools, ROOT } from './support/helm.ts'

// biome-ignore lint/suspicious/noExplicitAny: as wide as the format
type Service = any

const PROVISIONING = 'compose/grafana/provisioning'
const COMMANDS = ['aggregate', 'reduce', 'sink', 'serve', 'generate', 'topics', 'audit']
const compose = parse(readFileSync(join(ROOT, 'compose.yaml'), 'utf8'), { merge: true })
const services: [string, Service][] = Object.entries(compose.services)
const ours = services.filter(([, { build }]) => build !== undefined)

describeWithTools('compose.yaml', () => {
  let validate: ReturnType<Ajv2020['compile']>
  beforeAll(async () => {
    const folder = await ensureModule('github.com/compose-spec/compose-go/v2')
    const schema = JSON.parse(readFileSync(join(folder, 'schema', 'compose-spec.json'), 'utf8'))
    validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema)
  })

  it("is valid by Compose's own schema", () => {
    validate(compose)
    expect(validate.errors).toBeNull()
  })

  it('a key that Compose does not know is found', () => {
    expect(validate({ services: { x: { image: 'x', portz: [] } } })).toBe(false)
  })
})

describe('what compose.yaml names exists', () => {
  it('files and folders', () => {
    const sources = services.flatMap(([, { volumes = [] }]) => volumes.map((volume: string) => volume.split(':')[0]))
    const paths: string[] = sources.filter((source: string) => source.startsWith('.'))
    expect(paths.length).toBeGreaterThan(0)
    for (const path of paths) expect(existsSync(join(ROOT, path)), path).toBe(true)
    const volumes = sources.filter((source: string) => !source.startsWith('.'))
    expect(Object.keys(compose.volumes).toSorted()).toEqual([...new Set(volumes)].toSorted())
  })

  it('services that others wait for, and health where it is waited for', () => {
    for (const [name, { depends_on = {} }] of services) {
      const waited: [string, { condition?: string }][] = Array.isArray(depends_on)
        ? depends_on.map(other => [other, {}])
        : Object.entries(depends_on)
      for (const [other, { condition }] of waited) {
        expect(compose.services, `${name} waits for ${other}`).toHaveProperty(other)
        if (condition === 'service_healthy') expect(compose.services[other]).toHaveProperty('healthcheck.test')
      }
    }
  })

  it('commands of the program, with settings that it takes', () => {
    expect(ours.map(([name]) => name).toSorted()).toEqual(COMMANDS.toSorted())
    for (const [name, { command, entrypoint, environment }] of ours) {
      expect([...(entrypoint ?? []), ...command].includes(name), name).toBe(true)
      const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, String(value)]))
      expect(loadSettings(env, () => '').kafka.brokers).toEqual(['kafka:9092'])
    }
  })

  it('images by a tag, and ports on this machine alone', () => {
    for (const [name, { build, image, ports = [] }] of services) {
      if (build === undefined) expect(image, name).toMatch(/:[\w.-]*\d/)
      for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/)
    }
  })

  it("Prometheus asks the services that answer, on the program's port", () => {
    const { scrape_configs } = parse(readFileSync(join(ROOT, 'compose', 'prometheus.yaml'), 'utf8'))
    const [{ dns_sd_configs }] = scrape_configs
    expect(dns_sd_configs[0].port).toBe(8080)
    for (const name of dns_sd_configs[0].names) expect(ours.map(([service]) => service)).toContain(name)
  })

  it('the roles send their traces to the collector, which passes them on', () => {
    const { receivers, processors, exporters, service } = read('compose/collector.yaml')
    const [protocol, port] = ['http', ':4318']
    for (const [name, { environment }] of ours) {
      expect(environment.OTEL_EXPORTER_OTLP_ENDPOINT, name).toBe(`${protocol}://collector${port}`)
    }
    expect(receivers.otlp.protocols[protocol].endpoint).toMatch(new RegExp(`${port}$`))
    for (const [name, pipeline] of Object.entries<Service>(service.pipelines)) {
      for (const used of pipeline.receivers) expect(receivers, name).toHaveProperty(used)
      for (const used of pipeline.processors) expect(processors, name).toHaveProperty(used)
      for (const used of pipeline.exporters) expect(exporters, name).toHaveProperty([used])
    }
    expect(service.pipelines.traces.exporters).toEqual(['otlp/jaeger'])
    expect(exporters['otlp/jaeger'].endpoint).toBe('jaeger:4317')
    expect(compose.services.jaeger.command.join(' ')).toContain('grpc.endpoint=0.0.0.0:4317')
  })

  it("Prometheus has the chart's alerts, and the places that the alerts name", () => {
    const { rule_files, scrape_configs } = read('compose/prometheus.yaml')
    expect(rule_files).toEqual(['/etc/prometheus/rules/*.yaml'])
    expect(compose.services.prometheus.volumes).toContain('./charts/tidemark/rules:/etc/prometheus/rules:ro')
    const labels = scrape_configs[0].relabel_configs.map(({ target_label }: Service) => target_label)
    expect(labels).toEqual(expect.arrayContaining(['namespace', 'pod']))
  })

  it("Grafana has the chart's dashboards, the runbooks they lead to, and sources that there are", () => {
    const { volumes } = compose.services.grafana
    const [{ options }] = read(`${PROVISIONING}/dashboards/tidemark.yaml`).providers
    expect(volumes).toContain(`./charts/tidemark/dashboards:${options.path}:ro`)
    expect(volumes).toContain(`./docs/runbooks:/usr/share/grafana${dirname(RUNBOOKS)}:ro`)
    const folder = `${PROVISIONING}/datasources`
    const sources = readdirSync(join(ROOT, folder)).flatMap(file => read(`${folder}/${file}`).datasources)
    for (const { url } of sources) expect(compose.services).toHaveProperty(new URL(url).hostname)
    const uids = sources.map(({ uid }: Service) => uid)
    const linked = sources.flatMap(({ jsonData }: Service) => jsonData?.exemplarTraceIdDestinations ?? [])
    expect(linked.length).toBeGreaterThan(0)
    for (const { datasourceUid } of linked) expect(uids).toContain(datasourceUid)
  })
})

function read(path: string): Service {
  return parse(readFileSync(join(ROOT, path), 'utf8'))
}
