import { DataPointType } from '@opentelemetry/sdk-metrics'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { METRICS, type MetricSpec, PREFIX } from '../../../../src/telemetry/catalogue.ts'
import { createMetrics } from '../../../../src/telemetry/metrics.ts'
import { RegistryMetrics, unitOf } from '../../../../src/telemetry/otel/registryMetrics.ts'

const SCOPE = { name: 'tidemark', version: '1.2.3' }

/** What the SDK is given of a registry. */
async function collected(registry: Registry, observe: () => void = () => {}) {
  const producer = new RegistryMetrics(SCOPE)
  producer.read({ registry, observe })
  const { resourceMetrics, errors } = await producer.collect()
  expect(errors).toEqual([])
  const [of] = resourceMetrics.scopeMetrics
  expect(of?.scope).toEqual(SCOPE)
  return of?.metrics ?? []
}

describe('metrics for the SDK', () => {
  it('are none before there is a registry', async () => {
    const { resourceMetrics } = await new RegistryMetrics(SCOPE).collect()
    expect(resourceMetrics.scopeMetrics).toEqual([])
  })

  it('are sums since the process began of counters, and values of gauges', async () => {
    const registry = new Registry()
    registry.setDefaultLabels({ role: 'reduce' })
    const bytes = new Counter({
      name: 'partial_bytes_total',
      help: 'Bytes.',
      labelNames: ['size'],
      registers: [registry],
    })
    const lag = new Gauge({ name: 'lag_records', help: 'Lag.', registers: [registry] })
    bytes.inc({ size: '10s' }, 41)
    const before = Date.now()
    // What is only known when somebody asks is taken in first.
    const [sum, gauge] = await collected(registry, () => lag.set(7))
    expect(sum).toMatchObject({
      descriptor: { name: 'partial_bytes_total', description: 'Bytes.', unit: 'By' },
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: [{ attributes: { role: 'reduce', size: '10s' }, value: 41 }],
    })
    const { startTime, endTime } = sum?.dataPoints[0] ?? {}
    expect(ms(startTime)).toBeCloseTo(performance.timeOrigin, 0)
    expect(ms(endTime)).toBeGreaterThanOrEqual(before)
    expect(gauge).toMatchObject({
      descriptor: { name: 'lag_records', unit: '' },
      dataPointType: DataPointType.GAUGE,
      dataPoints: [{ attributes: { role: 'reduce' }, value: 7 }],
    })
  })

  it('have of a histogram what fell into each bucket, the last one without a bound', async () => {
    const registry = new Registry()
    const buckets = [0.1, 1, 10]
    const times = new Histogram({
      name: 'time_seconds',
      help: 'Time.',
      labelNames: ['api'],
      buckets,
      registers: [registry],
    })
    for (const seconds of [0.05, 0.1, 0.5, 5, 20, 30]) times.observe({ api: 'Fetch' }, seconds)
    times.zero({ api: 'Produce' })
    const [metric] = await collected(registry)
    expect(metric).toMatchObject({ descriptor: { unit: 's' }, dataPointType: DataPointType.HISTOGRAM })
    expect(metric?.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ api: 'Fetch' }, { buckets: { boundaries: buckets, counts: [2, 1, 1, 2] }, count: 6, sum: 55.65 }],
      [{ api: 'Produce' }, { buckets: { boundaries: buckets, counts: [0, 0, 0, 0] }, count: 0, sum: 0 }],
    ])
  })

  it('are those of the catalogue, each under its name and of its kind', async () => {
    const kinds = {
      [DataPointType.SUM]: 'counter',
      [DataPointType.GAUGE]: 'gauge',
      [DataPointType.HISTOGRAM]: 'histogram',
    }
    const { registry } = createMetrics('reduce', '1.2.3', undefined, ['10s'])
    const ours = (await collected(registry)).filter(({ descriptor }) => descriptor.name.startsWith(PREFIX))
    expect(ours.length).toBeGreaterThan(10)
    for (const { descriptor, dataPointType } of ours) {
      const spec: MetricSpec | undefined = METRICS[descriptor.name.slice(PREFIX.length) as keyof typeof METRICS]
      expect(spec, descriptor.name).toMatchObject({ help: descriptor.description })
      expect(kinds[dataPointType as keyof typeof kinds], descriptor.name).toBe(spec?.type)
    }
  })
})

describe('the unit of a metric', () => {
  it.each([
    ['flush_duration_seconds', 's'],
    ['process_cpu_user_seconds_total', 's'],
    ['partial_bytes_total', 'By'],
    ['nodejs_heap_size_total_bytes', 'By'],
    ['rejected_share_ratio', '1'],
    ['events_total', ''],
    ['partition_lag_records', ''],
    ['ready', ''],
  ])('%s: %j', (name, unit) => {
    expect(unitOf(name)).toBe(unit)
  })

  it('is a base unit, wherever a name of the catalogue ends in one', () => {
    const others = /_(ms|millis|milliseconds|minutes|hours|kb|kib|mb|mib|percent|share)(_total)?$/
    expect(Object.keys(METRICS).filter(name => others.test(name))).toEqual([])
  })
})

function ms(time: readonly [number, number] | undefined): number {
  const [seconds = 0, nanoseconds = 0] = time ?? []
  return seconds * 1e3 + nanoseconds / 1e6
}
