import { beforeEach, describe, expect, it } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { TidemarkError } from '../../../src/errors.ts'
import type { Capture, Tally } from '../../../src/tasks/task.ts'
import type { PartitionReading } from '../../../src/telemetry/health.ts'
import type { LogFields } from '../../../src/telemetry/log.ts'
import { RoleTelemetry } from '../../../src/telemetry/roleTelemetry.ts'

type Line = { level: string; event: string; fields: LogFields | undefined }

let lines: Line[]
let now: number
let readings: PartitionReading[]
let telemetry: RoleTelemetry

beforeEach(() => {
  lines = []
  now = 1_000_000
  readings = []
  telemetry = new RoleTelemetry({
    settings: loadSettings({ HTTP_PORT: '0', HEALTH_FAIL_ON: 'error_rate' }, () => ''),
    role: 'aggregate',
    version: '1.2.3',
    log: { write: (level, event, fields) => lines.push({ level, event, fields }) },
    readings: () => readings,
    now: () => now,
  })
})

async function page(path: string): Promise<{ status: number; text: string }> {
  const { status, body } = (await telemetry.pages()[path]?.()) ?? { status: 404, body: '' }
  return { status, text: body }
}

function delivered(partition: number, tally: Tally): void {
  const capture: Capture = { stages: [], commit: { offset: 1, metadata: '' }, tally, notices: [] }
  telemetry.on.delivered(partition, capture, 250)
}

function goLive(...partitions: number[]): void {
  telemetry.on.assigned(1, partitions)
  for (const partition of partitions) {
    telemetry.on.restored(partition, 0, null)
    telemetry.on.live(partition)
  }
}

describe('the rate guard', () => {
  it('is heard in the log, in metrics, in the details of readiness and in the report, and again when it ends', async () => {
    goLive(0, 1)
    delivered(0, { accepted: 150, late: 0, rejected: { not_json: 50 } })
    delivered(0, { accepted: 0, late: 0, rejected: { not_json: 1 } })
    expect(lines).toEqual([
      {
        level: 'error',
        event: 'rejected_share',
        fields: {
          partition: 0,
          records: 200,
          rejected: 50,
          share: 0.25,
          codes: { not_json: 50 },
          limit: 0.1,
          window_ms: 60_000,
        },
      },
    ])
    expect((await page('/metrics')).text).toContain('tidemark_rejected_share_alarm{partition="0",role="aggregate"} 1')
    const { status, text } = await page('/readyz')
    expect([status, JSON.parse(text).rejected_share_passed]).toMatchObject([200, [{ partition: 0, records: 201 }]])
    expect((await page('/healthz')).status).toBe(503)
    now += 60_000
    expect((await page('/metrics')).text).toContain('tidemark_rejected_share_alarm{partition="0",role="aggregate"} 0')
    expect(lines.slice(1)).toMatchObject([{ level: 'info', event: 'rejected_share_ended', fields: { partition: 0 } }])
    expect((await page('/healthz')).status).toBe(200)
  })

  it('leaves with its partition', async () => {
    goLive(0)
    delivered(0, { accepted: 0, late: 0, rejected: { not_json: 100 } })
    telemetry.on.assigned(2, [])
    expect((await page('/metrics')).text).not.toContain('partition="0"')
    expect(JSON.parse((await page('/readyz')).text).rejected_share_passed).toEqual([])
  })
})

describe('a restore', () => {
  it('is timed from the assignment, and later from the failure that it follows', async () => {
    telemetry.on.assigned(1, [0])
    now += 300
    telemetry.on.restored(0, 0, null)
    now += 200
    telemetry.on.live(0)
    expect((await page('/metrics')).text).toContain('tidemark_restore_duration_seconds_sum{role="aggregate"} 0.5')
    now += 50_000
    telemetry.on.assigned(2, [0])
    telemetry.on.failed(0, new TidemarkError('fenced', 'fenced'))
    expect(await page('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('"reason": "fenced"') })
    now += 1_000
    telemetry.on.failed(0, new TypeError('of nobody knows what'))
    now += 500
    telemetry.on.live(0)
    const { text } = await page('/metrics')
    expect(text).toContain('tidemark_restore_duration_seconds_sum{role="aggregate"} 2')
    expect(text).toContain('tidemark_restarts_total{code="fenced",role="aggregate"} 1')
    expect(text).toContain('tidemark_restarts_total{code="other",role="aggregate"} 1')
    expect((await page('/readyz')).status).toBe(200)
  })
})

it('a partition that was given away raises no alarm any more', () => {
  goLive(0)
  telemetry.on.assigned(2, [])
  delivered(0, { accepted: 0, late: 0, rejected: { not_json: 200 } })
  expect(lines).toEqual([])
})

it('the pages show what the worker tells', async () => {
  goLive(0)
  telemetry.on.looked()
  delivered(0, { accepted: 5, late: 0, rejected: {} })
  readings = [{ partition: 0, position: 30, lag: 12, clockMs: null }]
  const report = JSON.parse((await page('/healthz')).text)
  expect(report.checks).toMatchObject({ lag: { value: 12 }, processing_time: { value: 0.25, state: 'ok' } })
  expect(report.checks.container.value).toBeGreaterThan(0)
  expect(report.checks.container.value).toBeLessThan(1)
  expect((await page('/metrics')).text).toContain('tidemark_partition_lag_records{partition="0",role="aggregate"} 12')
})

describe('an unreadable batch', () => {
  async function waiting(): Promise<unknown> {
    return JSON.parse((await page('/readyz')).text).waiting_at_corrupt_batch
  }

  it('is told until the position has passed it', async () => {
    goLive(0)
    readings = [{ partition: 0, position: 30, lag: 12, clockMs: null }]
    telemetry.on.corrupt(0, { from: 30, skipped: false })
    telemetry.on.corrupt(0, { from: 30, skipped: false })
    expect(await waiting()).toEqual([0])
    readings = [{ partition: 0, position: 31, lag: 11, clockMs: null }]
    expect(await waiting()).toEqual([])
    const { text } = await page('/metrics')
    expect(text).toContain('tidemark_corrupt_batches_total{role="aggregate"} 1')
    expect(text).toContain('tidemark_partition_corrupt_batch_waiting{partition="0",role="aggregate"} 0')
  })

  it('is over when it is skipped, or the partition given away', async () => {
    goLive(0, 1)
    for (const partition of [0, 1]) telemetry.on.corrupt(partition, { from: 30, skipped: false })
    telemetry.on.corrupt(0, { from: 30, skipped: true })
    expect(await waiting()).toEqual([1])
    telemetry.on.assigned(2, [0])
    expect(await waiting()).toEqual([])
  })
})

it('liveness runs out when records wait, the brokers answer and nothing moves', async () => {
  goLive(0)
  readings = [{ partition: 0, position: 30, lag: 12, clockMs: null }]
  for (let second = 0; second <= 120; second++) {
    telemetry.on.looked()
    expect((await page('/livez')).status).toBe(200)
    now += 1_000
  }
  expect(await page('/livez')).toMatchObject({ status: 503, text: expect.stringContaining('"partition": 0') })
  telemetry.draining()
  expect((await page('/livez')).status).toBe(200)
  expect((await page('/readyz')).status).toBe(503)
})

it('opens its port, answers, and closes it', async () => {
  const [port = 0] = await freePorts(1, '127.0.0.1')
  const settings = { ...loadSettings({}, () => ''), httpPort: port }
  const one = new RoleTelemetry({
    settings,
    role: 'reduce',
    version: '1',
    log: { write: () => {} },
    readings: () => [],
  })
  await one.open()
  try {
    const paths = ['/livez', '/readyz', '/healthz', '/metrics', '/']
    const answers = await Promise.all(paths.map(path => fetch(`http://127.0.0.1:${port}${path}`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 503, 200, 200, 404])
    expect(answers[3]?.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  } finally {
    await one.close()
  }
  await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow()
})
