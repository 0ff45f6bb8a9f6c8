import { parentPort, workerData } from 'node:worker_threads'
import { type Outcome, simulate } from './simulate.ts'

/** What a worker is asked to do: seeds from, from + step, ... below `until`. */
export type SeedWork = { readonly from: number; readonly until: number; readonly step: number; readonly batch: number }

/** One batch of seeds done. */
export type SeedReport = {
  readonly seeds: number
  readonly failures: readonly { readonly seed: number; readonly check: string; readonly message: string }[]
  readonly counts: Readonly<Record<string, number>>
}

// Failures of calls are part of every run: their stacks are not worth their time.
Error.stackTraceLimit = 4

const { from, until, step, batch } = workerData as SeedWork
let report = emptyReport()
for (let seed = from; seed < until; seed += step) {
  add(report, await simulate(seed))
  if (report.seeds === batch || report.failures.length > 0) {
    parentPort?.postMessage(report satisfies SeedReport)
    report = emptyReport()
  }
}
parentPort?.postMessage(report satisfies SeedReport)

function emptyReport() {
  return { seeds: 0, failures: [] as SeedReport['failures'][number][], counts: {} as Record<string, number> }
}

function add(to: ReturnType<typeof emptyReport>, { seed, failure, counts }: Outcome): void {
  to.seeds++
  if (failure !== null) to.failures.push({ seed, ...failure })
  for (const [name, count] of Object.entries(counts)) to.counts[name] = (to.counts[name] ?? 0) + count
}
