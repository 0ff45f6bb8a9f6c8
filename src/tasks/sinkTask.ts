import { TidemarkError } from '../errors.ts'
import { decodeResult, resultKey } from '../results/decode.ts'
import { compareStanding, type Standing } from '../results/result.ts'
import type { RecordBatch } from './recordBatch.ts'
import type { Capture, Commit, LogRange, Notice, OutputRecord, Task, TaskFactory } from './task.ts'
import { TraceIntake, traceOf } from './traceContext.ts'

/** About what a row and a notice come to in memory beside the row's text. */
const ROW_BYTES = 256

/** Results that wait to be written: of each window the one that stands highest. */
export class WaitingResults {
  #rows = new Map<string, Standing & { readonly json: string }>()
  #bytes = 0

  /** About what is held. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#rows.size
  }

  /** Takes a record in; false when it is no result under its own key. A tombstone is none of our business, and fine. */
  add(key: Uint8Array | null, value: Uint8Array | null): boolean {
    if (value === null) return true
    const result = decodeResult(value)
    if (result === null || key === null) return false
    const name = resultKey(result)
    if (!isText(key, name)) return false
    const { generation, revision, status } = result
    const known = this.#rows.get(name)
    if (known !== undefined && compareStanding(result, known) <= 0) return true
    const json = JSON.stringify(result)
    this.#bytes += json.length - (known?.json.length ?? -ROW_BYTES)
    this.#rows.set(name, { generation, revision, status, json })
    return true
  }

  /** All that waits, as records of JSON by their key; none waits then. */
  take(): OutputRecord[] {
    const taken = [...this.#rows].map(
      ([key, { json }]) => ({ topic: 'results', partition: null, key, value: json }) as const,
    )
    this.#rows = new Map()
    this.#bytes = 0
    return taken
  }
}

/** Keys are ASCII. */
function isText(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false
  return true
}

/**
 * One partition of the results topic on its way into a database. Nothing is replayed: the position is kept with the rows.
 * Several results of a window become one row, so that a backlog of provisional ones costs little.
 */
export class SinkTask implements Task {
  readonly live = true
  readonly #waiting = new WaitingResults()
  #notices: Notice[]
  #position: number
  #captured: number
  /** Null while tracing is off. */
  readonly #traces: TraceIntake | null

  constructor(position: number, committed: number | null, notices: Notice[], traced = false) {
    this.#traces = traced ? new TraceIntake() : null
    this.#position = position
    this.#captured = committed ?? -1
    this.#notices = notices
  }

  get position(): number {
    return this.#position
  }

  get pendingBytes(): number {
    return this.#waiting.bytes + ROW_BYTES * this.#notices.length
  }

  get pendingEvents(): number {
    return this.#waiting.size
  }

  process(batch: RecordBatch): void {
    while (batch.next()) {
      if (batch.offset < this.#position) continue
      this.#traces?.record(batch)
      const key = batch.keyStart < 0 ? null : batch.keyBytes.subarray(batch.keyStart, batch.keyEnd)
      const value = batch.valueStart < 0 ? null : batch.valueBytes.subarray(batch.valueStart, batch.valueEnd)
      if (!this.#waiting.add(key, value)) this.#notices.push({ kind: 'foreign_record', offset: batch.offset })
    }
    this.skipTo(batch.nextOffset)
  }

  skipTo(offset: number): void {
    this.#position = Math.max(this.#position, offset)
  }

  capture(): Capture | null {
    if (this.#position === this.#captured) return null
    this.#captured = this.#position
    const notices = this.#notices
    this.#notices = []
    const commit = { offset: this.#position, metadata: '' }
    const rows = this.#waiting.take()
    return { stages: [rows], commit, tally: null, notices, ...traceOf(this.#traces, rows.length > 0) }
  }

  takeSeek(): null {
    return null
  }
}

/**
 * @param topic for messages: the results topic of a partition
 * @param traced whether captures tell of the traces that results belong to
 */
export function createSinkTaskFactory(topic: string, traced = false): TaskFactory<SinkTask> {
  return {
    restore(partition: number, commit: Commit | null, { start, end }: LogRange): SinkTask {
      if (commit === null) return new SinkTask(start, null, [], traced)
      if (commit.offset > end) {
        const message = `the database has written ${topic}/${partition} up to offset ${commit.offset}, and the log ends at ${end}: it is another topic of that name; fill the database anew by \`tidemark sink --rebuild --yes\``
        throw new TidemarkError('refused_beyond_log', message)
      }
      // What was deleted below the start was told again since, or its windows are past the topic's own retention.
      const gap: Notice[] = commit.offset < start ? [{ kind: 'gap', from: commit.offset, to: start }] : []
      return new SinkTask(Math.max(start, commit.offset), commit.offset, gap, traced)
    },
  }
}
