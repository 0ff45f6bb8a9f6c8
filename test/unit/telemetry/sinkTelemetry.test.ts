import { beforeEach, expect, it } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import { TidemarkError } from '../../../src/errors.ts'
import { SinkTelemetry } from '../../../src/telemetry/sinkTelemetry.ts'

let lines: string[]
let now: number
let telemetry: SinkTelemetry
const away = new TidemarkError('unreachable', 'database h:5432/d: refused')

beforeEach(() => {
  lines = []
  now = 1_000_000
  telemetry = new SinkTelemetry({
    settings: loadSettings({ HTTP_PORT: '0', HEALTH_MAX_LAG: '10', HEALTH_FAIL_ON: 'lag' }, () => ''),
    version: '1.2.3',
    log: { write: (level, event, fields) => lines.push(`${level} ${event} ${JSON.stringify(fields)}`) },
    now: () => now,
  })
})

async function page(path: string): Promise<{ status: number; text: string }> {
  const { status, body } = (await telemetry.pages()[path]?.()) ?? { status: 404, body: '' }
  return { status, text: body }
}

/** What a worker tells of a partition until its rows flow. */
function goLive(position = 0): void {
  telemetry.looked([{ start: 0, end: 20 }])
  telemetry.assigned([0])
  telemetry.restored(0, position, position)
  telemetry.live(0)
}

it('tells of a partition from its assignment on, until it is that of another', async () => {
  telemetry.assigned([0, 3])
  telemetry.live(0)
  const text = (await page('/metrics')).text
  for (const [partition, live] of [
    [0, 1],
    [3, 0],
  ]) {
    expect(text).toContain(`tidemark_partition_live{partition="${partition}",role="sink"} ${live}`)
    expect(text).toContain(`tidemark_partition_corrupt_batch_waiting{partition="${partition}",role="sink"} 0`)
  }
  telemetry.assigned([3])
  expect((await page('/metrics')).text).not.toContain('partition="0"')
})

it('is ready once joined, at its position, with a database that answers', async () => {
  expect((await page('/readyz')).status).toBe(503)
  goLive()
  expect((await page('/readyz')).status).toBe(503)
  telemetry.databaseUp()
  expect((await page('/readyz')).status).toBe(200)
  telemetry.draining()
  expect((await page('/readyz')).status).toBe(503)
})

it('tells a database that goes away and comes back once each, and is not ready meanwhile, but live', async () => {
  telemetry.databaseUp()
  goLive()
  for (let i = 0; i < 3; i++) telemetry.databaseDown(away)
  const { status, text } = await page('/readyz')
  expect(status).toBe(503)
  expect(JSON.parse(text)).toMatchObject({ ready: false, database: { up: false, reason: away.message } })
  expect((await page('/metrics')).text).toContain('tidemark_database_up{role="sink"} 0')
  for (let minute = 0; minute < 10; minute++) {
    now += 60_000
    telemetry.failed(0, 'unreachable')
    telemetry.looked([{ start: 0, end: 20 }])
  }
  expect((await page('/livez')).status).toBe(200)
  telemetry.databaseUp()
  telemetry.databaseUp()
  expect(lines).toEqual([
    'error database_down {"reason":"database h:5432/d: refused"}',
    'info database_up {"after_ms":600000}',
  ])
})

it('shows the lag also while nothing runs', async () => {
  goLive(5)
  telemetry.failed(0, 'unreachable')
  telemetry.looked([{ start: 0, end: 30 }])
  const { text } = await page('/metrics')
  expect(text).toContain('tidemark_partition_lag_records{partition="0",role="sink"} 25')
  expect(text).toContain('tidemark_partition_live{partition="0",role="sink"} 0')
  expect((await page('/healthz')).status).toBe(503)
})

it('ends the series of a partition that is no longer ours', async () => {
  goLive(5)
  await page('/metrics')
  telemetry.assigned([])
  expect((await page('/metrics')).text).not.toContain('partition="0"')
})

it('says where a partition waits at an unreadable batch, until it is passed', async () => {
  const waiting = async () => JSON.parse((await page('/readyz')).text).waiting_at_corrupt_batch
  goLive(5)
  telemetry.corrupt(0, 7)
  telemetry.delivered(0, 7, 10)
  expect(await waiting()).toEqual([0])
  expect((await page('/metrics')).text).toContain(
    'tidemark_partition_corrupt_batch_waiting{partition="0",role="sink"} 1',
  )
  telemetry.delivered(0, 9, 10)
  expect(await waiting()).toEqual([])
})
