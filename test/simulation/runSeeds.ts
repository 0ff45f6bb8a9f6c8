import { Worker } from 'node:worker_threads'
import type { SeedReport, SeedWork } from './seedWorker.ts'

export type SeedRunOptions = {
  readonly from: number
  readonly seeds: number
  readonly workers: number
  /** End at the first failing seed. */
  readonly stopAtFirst?: boolean
  /** Hears from time to time how many seeds are done. */
  readonly onProgress?: (done: number) => void
}

export type SeedRun = {
  readonly seeds: number
  readonly ms: number
  /** In the order of seeds. */
  readonly failures: SeedReport['failures']
  readonly counts: Readonly<Record<string, number>>
}

const BATCH = 25

/** Runs seeds [from, from + seeds) in worker threads. */
export async function runSeeds(options: SeedRunOptions): Promise<SeedRun> {
  const startedAt = performance.now()
  const until = options.from + options.seeds
  const failures: SeedReport['failures'][number][] = []
  const counts: Record<string, number> = {}
  let seeds = 0
  const workers = Array.from({ length: options.workers }, (_, i) => {
    const work: SeedWork = { from: options.from + i, until, step: options.workers, batch: BATCH }
    return new Worker(new URL('./seedWorker.ts', import.meta.url), { workerData: work })
  })
  const hear = (report: SeedReport) => {
    seeds += report.seeds
    failures.push(...report.failures)
    for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count
    options.onProgress?.(seeds)
    if (options.stopAtFirst && failures.length > 0) for (const worker of workers) void worker.terminate()
  }
  await Promise.all(workers.map(worker => ended(worker, hear)))
  failures.sort((a, b) => a.seed - b.seed)
  return { seeds, ms: performance.now() - startedAt, failures, counts }
}

function ended(worker: Worker, hear: (report: SeedReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on('message', hear)
    worker.on('error', reject)
    worker.on('exit', () => resolve())
  })
}

/** What a person wants to know of a run: its figures, and how to see a failure again. */
export function summaryOf({ seeds, ms, failures, counts }: SeedRun): string {
  const lines = [`${seeds} seeds in ${(ms / 1000).toFixed(1)} s (${((seeds * 1000) / ms).toFixed(0)} a second)`]
  for (const name of Object.keys(counts).sort()) lines.push(`  ${name}: ${counts[name]}`)
  for (const { seed, check, message } of failures.slice(0, 10)) {
    lines.push(`FAILED ${check} (seed ${seed}): ${message}`, `  replay: npm run simulate -- --seed ${seed} --trace`)
  }
  lines.push(failures.length === 0 ? 'every check held' : `${failures.length} failing seeds`)
  return lines.join('\n')
}
