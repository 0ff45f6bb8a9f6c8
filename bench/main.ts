import { parseArgs } from 'node:util'
import { SETTING_NAMES } from '../src/config/schema.ts'
import { exitCodeOf } from '../src/errors.ts'
import { type Figure, SECTIONS, type Section, told } from './figure.ts'
import { Lab } from './lab.ts'
import { describeMachine } from './machine.ts'
import { measureResults, resultFigures } from './results.ts'
import { freshnessFigures, measureSteady, type Steady, steadyMemoryFigures } from './steady.ts'
import { printTable } from './table.ts'
import { measureTakeovers, takeoverFigures } from './takeover.ts'
import { type Drains, drainMemoryFigures, measureDrains, throughputFigures, WORKS } from './throughput.ts'

const STEADY_SECONDS = 60
const QUICK_STEADY_SECONDS = 20

const USAGE = `npm run bench -- [--only ${SECTIONS.join('|')}] [--quick] [--events <n>] [--json] [--profile <folder>] [--set <NAME=value>]...
  --only     one part; all by default
  --quick    shorter runs and fewer events: for a look, not for a claim
  --events   events in the topic that is drained (2,000,000; 500,000 when quick)
  --json     the last line is one JSON object; all else goes to stderr
  --profile  the drains leave CPU profiles in this folder, which slows them down a little
  --set      a setting of Tidemark other than its default, to see what it does
Exit 1 when a target is missed, 2 for wrong usage, others when the run broke off.`

type Options = {
  readonly sections: readonly Section[]
  readonly quick: boolean
  readonly events: number
  readonly json: boolean
  readonly profile: string | null
  readonly settings: Readonly<Record<string, string>>
}

/** Null for wrong usage. */
function parseOptions(args: string[]): Options | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        events: { type: 'string' },
        json: { type: 'boolean', default: false },
        profile: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
      },
    })
    const sections = SECTIONS.filter(section => values.only === undefined || values.only === section)
    const events = Number(values.events ?? (values.quick ? 500_000 : 2_000_000))
    const settings = Object.fromEntries(values.set.map(text => text.split(/=(.*)/s, 2)))
    const isSetting = ([name, value]: readonly [string, unknown]) =>
      value !== undefined && (SETTING_NAMES as readonly string[]).includes(name)
    if (
      !Object.entries(settings).every(isSetting) ||
      sections.length === 0 ||
      !Number.isSafeInteger(events) ||
      events < 1
    )
      return null
    return { sections, quick: values.quick, events, json: values.json, profile: values.profile ?? null, settings }
  } catch {
    return null
  }
}

async function run(options: Options, say: (line: string) => void): Promise<Figure[]> {
  const wanted = (section: Section) => options.sections.includes(section)
  const lab = await Lab.open(options.settings)
  const figures: Figure[] = []
  try {
    let drains: Drains | null = null
    if (wanted('throughput') || wanted('memory')) {
      drains = await measureDrains(lab, options.events, options.profile, say)
    }
    if (drains !== null && wanted('throughput')) figures.push(...throughputFigures(drains))
    if (wanted('takeover')) figures.push(...takeoverFigures(await measureTakeovers(lab, options.quick, say)))
    const steady: Steady[] = []
    if (wanted('memory') || wanted('freshness')) {
      const seconds = options.quick ? QUICK_STEADY_SECONDS : STEADY_SECONDS
      for (const work of WORKS) steady.push(await measureSteady(lab, work, seconds, say))
    }
    if (wanted('memory')) figures.push(...steady.flatMap(steadyMemoryFigures))
    if (drains !== null && wanted('memory')) figures.push(...drainMemoryFigures(drains))
    if (wanted('freshness')) figures.push(...steady.flatMap(freshnessFigures))
    if (wanted('results'))
      figures.push(...resultFigures(await measureResults(lab, options.quick, options.profile, say)))
    return figures
  } finally {
    await lab.close()
  }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const out = options.json ? process.stderr : process.stdout
  const machine = describeMachine()
  for (const [name, value] of Object.entries(options.settings)) out.write(`bench: ${name} is set to ${value}\n`)
  const figures = (await run(options, line => void out.write(`bench: ${line}\n`))).map(told)
  printTable(machine, figures, out)
  const missed = figures.filter(({ met }) => met === false).length
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ machine, quick: options.quick, settings: options.settings, figures, missed })}\n`,
    )
  return missed === 0 ? 0 : 1
}

// The exit handlers of whatever was started end it, also when the run is broken off.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(exitCodeOf(error))
}
