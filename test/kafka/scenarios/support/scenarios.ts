import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import { Random } from '../../../../src/dev/generator/random.ts'
import { type EmbeddedKafka, startKafka } from '../../../../src/dev/kafka/embeddedKafka.ts'
import { endPipelines } from './pipeline.ts'

const FOLDER = join(import.meta.dirname, '..')
/** Each file has a process of its own; what they share is their parent. */
const REGISTER = join(tmpdir(), `tidemark-scenarios-${process.ppid}.jsonl`)

type Passed = { readonly file: string; readonly names: readonly string[] }

export type ScenarioFile = {
  /** The file's broker; there between beforeAll and afterAll. */
  readonly kafka: EmbeddedKafka
  /** A test that counts as a scenario once it has passed. */
  scenario(name: string, run: () => Promise<void>): void
  /** One that runs together with those like it that stand beside it: most of its time is waiting. */
  concurrent(name: string, run: () => Promise<void>): void
}

/** One broker for the scenarios of a file. After the last file of all, a line tells how many scenarios have passed. */
export function scenarioFile(file: string): ScenarioFile {
  let kafka: EmbeddedKafka | null = null
  const names: string[] = []
  beforeAll(async () => {
    kafka = await startKafka()
  })
  afterAll(async () => {
    await endPipelines()
    await kafka?.stop()
    report({ file, names })
  })
  const counted = (name: string, run: () => Promise<void>) => async () => {
    await run()
    names.push(name)
  }
  return {
    get kafka() {
      if (kafka === null) throw new Error('the broker is not there yet')
      return kafka
    },
    scenario: (name, run) => test(name, counted(name, run)),
    concurrent: (name, run) => test.concurrent(name, counted(name, run)),
  }
}

function report(passed: Passed): void {
  appendFileSync(REGISTER, `${JSON.stringify(passed)}\n`)
  const all = readFileSync(REGISTER, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Passed)
  const files = readdirSync(FOLDER).filter(name => name.endsWith('.test.ts'))
  if (all.length < files.length) return
  const names = all.flatMap(each => each.names)
  console.log(`real-Kafka scenarios: ${names.length} (${names.join('; ')})`)
  if (existsSync(REGISTER)) rmSync(REGISTER)
}

/** A source of chance whose seed is printed; SCENARIO_SEED gives the same again, as far as a real broker can. */
export function chance(what: string): Random {
  const seed = Number(process.env.SCENARIO_SEED ?? Date.now() % 1_000_000)
  console.log(`${what}: SCENARIO_SEED=${seed}`)
  return new Random(seed)
}
