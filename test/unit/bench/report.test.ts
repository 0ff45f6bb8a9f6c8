import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Figure, told } from '../../../bench/figure.ts'
import { type Options, parseOptions } from '../../../bench/options.ts'
import { writeReport } from '../../../bench/report.ts'

const MACHINE = {
  date: '2026-01-31T08:00:00.000Z',
  cores: 2,
  cpu: 'Z',
  memory_gib: 24,
  node: 'v24.0.0',
  kafka: '4.1.1',
}
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-test-'))
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

function figure(rest: Partial<Figure>): Figure {
  return { section: 'start', name: 'start', value: 1, unit: 's', target: null, peer: null, note: '', ...rest }
}

async function write(options: Options, figures: readonly Figure[]): Promise<string> {
  await writeReport(MACHINE, options, figures.map(told), folder)
  return await readFile(join(folder, 'benchmark.md'), 'utf8')
}

it('a row tells value, target, whether it is met, the peer and the note; the part its machine and command', async () => {
  const page = await write(parseOptions(['--only', 'start', '--events', '5']), [
    figure({ value: 1.25, target: { most: 1.5 }, peer: { name: 'other', value: 3 }, note: 'a | b' }),
    figure({ name: 'slow', value: 2, target: { most: 1.5 } }),
  ])
  expect(page).toContain('| start | 1.25 s | <= 1.5 | met | other: 3 | a \\| b |')
  expect(page).toContain('| slow | 2 s | <= 1.5 | **missed** |  |  |')
  expect(page).toContain(
    'Node v24.0.0 · Kafka 4.1.1 on the same machine. `npm run bench -- --write --events 5 --only start`',
  )
})

it('a part that is not run again stays, also what it has not measured', async () => {
  await write(parseOptions(['--only', 'start']), [figure({ name: 'left out', value: Number.NaN })])
  const page = await write(parseOptions(['--only', 'idle']), [figure({ section: 'idle', name: 'at rest', value: 3 })])
  expect(page).toContain('| left out | – s |')
  expect(page).toContain('| at rest | 3 s |')
})

it('the picture shows each bar once', async () => {
  const bars = [{ group: 'counting', label: 'Tidemark', eventsPerSecond: 5 }]
  await write(parseOptions(['--only', 'start']), [figure({ bars }), figure({ bars })])
  const svg = await readFile(join(folder, 'benchmark.svg'), 'utf8')
  expect(svg.match(/Tidemark/g)).toHaveLength(1)
})
