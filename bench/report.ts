import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { barChart } from './barChart.ts'
import { numberText, SECTIONS, type Section, type ToldFigure, targetText } from './figure.ts'
import { type Machine, machineText } from './machine.ts'
import type { Options } from './options.ts'

/** One part as it was last measured. */
type Part = {
  readonly section: Section
  readonly machine: Machine
  readonly command: string
  /** JSON has no NaN: what was not measured comes back as null. */
  readonly figures: readonly (Omit<ToldFigure, 'value'> & { readonly value: number | null })[]
}
type Parts = Map<Section, Part>

const DOCS = join(import.meta.dirname, '..', 'docs')
/** A line for each part. */
const FIGURES = 'benchmark.jsonl'
const TABLE = 'benchmark.md'
const PICTURE = 'benchmark.svg'

const TITLES: Readonly<Record<Section, string>> = {
  throughput: 'Reading, counting, enriching',
  peers: 'Against others who do the same',
  memory: 'Memory',
  scale: 'Partitions and users',
  start: 'Start',
  telemetry: 'What it costs to be seen',
  takeover: 'Takeover',
  freshness: 'Freshness',
  results: 'Reducer and sink',
  payloads: 'Payloads and codecs',
  backlog: 'A backlog',
  idle: 'With little to do',
  profile: 'Where the time goes',
}

/** Puts the figures into `<folder>/benchmark.*`, in place of those of the same parts; other parts stay as they were. */
export async function writeReport(
  machine: Machine,
  options: Options,
  figures: readonly ToldFigure[],
  folder: string = DOCS,
): Promise<void> {
  const parts = await readParts(folder)
  const command = commandOf(options)
  for (const section of options.sections) {
    const own = figures.filter(figure => figure.section === section)
    parts.set(section, { section, machine, command, figures: own })
  }
  const lines = [...parts.values()].map(part => `${JSON.stringify(part)}\n`)
  await writeFile(join(folder, FIGURES), lines.join(''))
  await writeFile(join(folder, TABLE), pageOf(parts))
  await writeFile(join(folder, PICTURE), barChart('Events a second, one process', barsOf(parts)))
}

async function readParts(folder: string): Promise<Parts> {
  try {
    const text = await readFile(join(folder, FIGURES), 'utf8')
    const lines = text.split('\n').filter(line => line !== '')
    return new Map(lines.map(line => JSON.parse(line) as Part).map(part => [part.section, part]))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
}

function commandOf({ sections, events, settings }: Options): string {
  const only = sections.map(section => `--only ${section}`).join(' ')
  const set = Object.entries(settings).map(([name, value]) => ` --set ${name}=${value}`)
  return `npm run bench -- --write --events ${events} ${only}${set.join('')}`
}

function barsOf(parts: Parts) {
  const bars = SECTIONS.flatMap(section => parts.get(section)?.figures.flatMap(each => each.bars ?? []) ?? [])
  // Whoever was measured in several rows is shown once.
  return [...new Map(bars.map(bar => [`${bar.group}/${bar.label}`, bar])).values()]
}

function pageOf(parts: Parts): string {
  const sections = SECTIONS.flatMap(section => {
    const part = parts.get(section)
    return part === undefined ? [] : [sectionText(part)]
  })
  return `# Benchmark

Written by \`npm run bench -- --write\`; not by hand. Absolute figures drift from run to run and machine to machine: compare the
ratios, whose two sides stand in the same run, on the same topic, in turns. Times of Tidemark and of ConsumerPerformance run from the
assignment of the partitions to the last event; CPU is that of the whole process in that time. Each drain is checked: an
aggregator that has not accepted every event of the topic fails the run.

![Events a second](${PICTURE})

${sections.join('\n')}`
}

function sectionText({ section, machine, command, figures }: Part): string {
  const rows = figures.map(({ value, ...rest }) => rowOf({ ...rest, value: value ?? Number.NaN }))
  return `## ${TITLES[section]}

${machineText(machine)}. \`${command}\`

| What | Value | Target | | Peer in the same run | Note |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`
}

function rowOf({ name, value, unit, target, met, peer, note }: ToldFigure): string {
  const peerText = peer === null ? '' : `${peer.name}: ${numberText(peer.value)}`
  const metText = met === null ? '' : met ? 'met' : '**missed**'
  const cells = [name, `${numberText(value)} ${unit}`.trim(), targetText({ target }), metText, peerText, note]
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
