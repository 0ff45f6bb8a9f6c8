import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runSeeds, summaryOf } from './runSeeds.ts'

const USAGE = `npm run simulate -- --seed S [--trace]      runs one seed again; --trace shows every step
npm run simulate -- --seeds N [--from S]    runs N seeds from S on (1)
  --workers W       threads (as many as there are cores)
  --stop-at-first   ends at the first failing seed
Exit 1 when a check fails.`

const PROGRESS_EVERY_MS = 5_000

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'boolean', default: false },
      'stop-at-first': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || (values.seed === undefined) === (values.seeds === undefined)) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  if (values.seed !== undefined) return replay(Number(values.seed), values.trace)
  let toldAt = performance.now()
  const run = await runSeeds({
    from: Number(values.from),
    seeds: Number(values.seeds),
    workers: Number(values.workers),
    stopAtFirst: values['stop-at-first'],
    onProgress: done => {
      if (performance.now() - toldAt < PROGRESS_EVERY_MS) return
      toldAt = performance.now()
      console.log(`${done} seeds`)
    },
  })
  console.log(summaryOf(run))
  return run.failures.length === 0 ? 0 : 1
}

async function replay(seed: number, trace: boolean): Promise<number> {
  // Where worker threads run the seeds, this one has no need of all that a seed needs.
  const { simulate } = await import('./simulate.ts')
  const { failure, hash, counts } = await simulate(seed, trace ? console.log : null)
  console.log(`seed ${seed}, hash ${hash.toString(16)}, ${JSON.stringify(counts)}`)
  console.log(failure === null ? 'every check held' : `FAILED ${failure.check}: ${failure.message}`)
  return failure === null ? 0 : 1
}

process.exitCode = await main()
