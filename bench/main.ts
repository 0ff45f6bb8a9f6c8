import { inspect } from 'node:util'
import { exitCodeOf } from '../src/errors.ts'
import { measureBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { type Figure, type Section, told } from './figure.ts'
import { measureIdle } from './idle.ts'
import { Lab } from './lab.ts'
import { describeMachine } from './machine.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { measurePeers } from './peers.ts'
import { measureProfile } from './profile.ts'
import { writeReport } from './report.ts'
import { measureResults } from './results.ts'
import { measurePayloads, measureScale } from './scale.ts'
import { Sources } from './sources.ts'
import { measureStart } from './start.ts'
import { measureFreshness, measureMemory } from './steady.ts'
import { printTable } from './table.ts'
import { measureTakeovers } from './takeover.ts'
import { measureTelemetry } from './telemetry.ts'
import { measureThroughput } from './throughput.ts'

const MEASURES: Readonly<Record<Section, (bench: Bench) => Promise<Figure[]>>> = {
  throughput: measureThroughput,
  peers: measurePeers,
  memory: measureMemory,
  scale: measureScale,
  start: measureStart,
  telemetry: measureTelemetry,
  takeover: measureTakeovers,
  freshness: measureFreshness,
  results: measureResults,
  payloads: measurePayloads,
  backlog: measureBacklog,
  idle: measureIdle,
  profile: measureProfile,
}

async function run(options: Options, say: (line: string) => void): Promise<Figure[]> {
  const { events, quick, profile: profileFolder } = options
  const lab = await Lab.open(options.settings)
  const bench: Bench = { lab, sources: new Sources(lab, say), events, quick, profileFolder, say }
  const figures: Figure[] = []
  try {
    for (const section of options.sections) figures.push(...(await MEASURES[section](bench)))
    return figures
  } finally {
    await lab.close()
  }
}

/** Null, with the reason told, for wrong usage. */
function readOptions(args: string[]): Options | null {
  try {
    return parseOptions(args)
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return null
  }
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options === null) return 2
  const out = options.json ? process.stderr : process.stdout
  const machine = describeMachine()
  for (const [name, value] of Object.entries(options.settings)) out.write(`bench: ${name} is set to ${value}\n`)
  const figures = (await run(options, line => void out.write(`bench: ${line}\n`))).map(told)
  printTable(machine, figures, out)
  if (options.write) await writeReport(machine, options, figures)
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
  process.stderr.write(`bench: ${inspect(error)}\n`)
  process.exit(exitCodeOf(error))
}
