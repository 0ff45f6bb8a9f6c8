import { describe, expect, it } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import type { Capture } from '../../../src/tasks/task.ts'
import type { Stage } from '../../../src/telemetry/metrics.ts'
import { RoleTelemetry } from '../../../src/telemetry/roleTelemetry.ts'

const PARTITIONS = Array.from({ length: 64 }, (_, partition) => partition)
const LIMIT_MS = 50
const SCRAPES = 20

/** A role that has all of its partitions, each of which has told all that it may. */
function busyRole(role: Stage): RoleTelemetry {
  const sources = new Map(PARTITIONS.map(source => [source, 1_694_477_552_500]))
  const byStatus = { provisional: 4, final: 30, corrected: 2 }
  const reduced = { size: '10s', byStatus, finalEndMs: 1_694_477_550_000, sources }
  const task = role === 'aggregate' ? { windows: 4, chunks: 9 } : { windows: 36, reduced }
  const telemetry = new RoleTelemetry({
    settings: loadSettings({ HTTP_PORT: '0' }, () => ''),
    role,
    version: '1',
    log: { write: () => {} },
    readings: () =>
      PARTITIONS.map(partition => ({ partition, position: 1_000, lag: 7, clockMs: 1_694_477_552_500, task })),
  })
  telemetry.on.assigned(1, PARTITIONS)
  for (const partition of PARTITIONS) {
    const tally = role === 'aggregate' ? { accepted: 900, late: 1, rejected: { not_json: 9 } } : null
    const capture: Capture = { stages: [], commit: { offset: 1_000, metadata: '' }, tally, notices: [] }
    telemetry.on.restored(partition, 900, 900)
    telemetry.on.live(partition)
    telemetry.on.delivered(partition, capture, 30)
  }
  return telemetry
}

describe.each<Stage>(['aggregate', 'reduce'])('a scrape of %s with 64 partitions', role => {
  it(`takes less than ${LIMIT_MS} ms`, async () => {
    const scrape = busyRole(role).pages()['/metrics']
    const times: number[] = []
    let text = ''
    for (let i = 0; i < SCRAPES; i++) {
      const begun = performance.now()
      text = (await scrape?.())?.body ?? ''
      times.push(performance.now() - begun)
    }
    const series = text.split('\n').filter(line => /^tidemark_partition_position\{/.test(line))
    expect(series).toHaveLength(PARTITIONS.length)
    // The median: what else runs on the machine may hold up some.
    const [median] = times.sort((a, b) => a - b).slice(SCRAPES / 2)
    console.info(
      `${role}: ${text.length} bytes, median ${median?.toFixed(1)} ms, slowest ${times.at(-1)?.toFixed(1)} ms`,
    )
    expect(median).toBeLessThan(LIMIT_MS)
  })
})
