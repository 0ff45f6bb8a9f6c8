import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PartitionRunner } from '../../src/runtime/partitionRunner.ts'
import { AggregateTask } from '../../src/tasks/aggregateTask.ts'

/**
 * Loaded before an aggregator (`node --import`), it tells in a line of its standard output when, and after how much CPU,
 * the process had counted so many offsets (BENCH_EVENTS). It looks once for each slice of a batch, never at an event.
 */
export type ProbeLine = {
  readonly event: 'bench_counted'
  /** Epoch milliseconds: partitions assigned, first slice counted, all counted. */
  readonly assigned_at: number
  readonly first_at: number
  readonly counted_at: number
  /** The first and the last of these once more, in microseconds of the clock that V8's profiles tell. */
  readonly assigned_us: number
  readonly counted_us: number
  /** CPU seconds of all threads from the assignment, and from the first slice on, until all was counted. */
  readonly cpu_seconds: number
  readonly cpu_seconds_from_first: number
  readonly offsets: number
  /** Modules of OpenTelemetry that the process has loaded; its API, which does nothing by itself, comes with prom-client. */
  readonly telemetry_modules: number
}

type Moment = { readonly at: number; readonly cpuSeconds: number; readonly monotonicUs: number }

const expected = Number(process.env.BENCH_EVENTS)
let assigned: Moment | null = null
let first: Moment | null = null
let offsets = 0

function moment(): Moment {
  const { user, system } = process.cpuUsage()
  return {
    at: performance.timeOrigin + performance.now(),
    cpuSeconds: (user + system) / 1e6,
    monotonicUs: Number(process.hrtime.bigint() / 1_000n),
  }
}

const { start } = PartitionRunner.prototype
PartitionRunner.prototype.start = function () {
  assigned ??= moment()
  return start.call(this)
}

const { process: processSlice } = AggregateTask.prototype
AggregateTask.prototype.process = function (batch, now) {
  const from = this.position
  processSlice.call(this, batch, now)
  if (offsets >= expected) return
  const counted = this.position - from
  offsets += counted
  if (counted > 0) first ??= moment()
  if (offsets >= expected) tell()
}

function tell(): void {
  const last = moment()
  const line: ProbeLine = {
    event: 'bench_counted',
    assigned_at: assigned?.at ?? Number.NaN,
    first_at: first?.at ?? Number.NaN,
    counted_at: last.at,
    assigned_us: assigned?.monotonicUs ?? Number.NaN,
    counted_us: last.monotonicUs,
    cpu_seconds: last.cpuSeconds - (assigned?.cpuSeconds ?? Number.NaN),
    cpu_seconds_from_first: last.cpuSeconds - (first?.cpuSeconds ?? Number.NaN),
    offsets,
    telemetry_modules: countTelemetryModules(),
  }
  writeSync(process.stdout.fd, `${JSON.stringify(line)}\n`)
}

/** OpenTelemetry's packages are CommonJS, whose modules Node lists. */
function countTelemetryModules(): number {
  const { cache } = createRequire(import.meta.url)
  return Object.keys(cache).filter(path => path.includes('/@opentelemetry/') && !path.includes('/@opentelemetry/api/'))
    .length
}
