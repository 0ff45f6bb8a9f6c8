import { decodeResult, resultKey } from '../results/decode.ts'
import { type History, historyOf, tilesOfHistory } from '../results/history.ts'
import { compareStanding, type Result, type ResultStatus } from '../results/result.ts'
import { isoTime } from '../windows/windows.ts'
import { windowKeyOf } from './parameters.ts'
import { type Held, SizeWindows } from './sizeWindows.ts'

export type StoreOptions = {
  /** Sizes that tile time: those of the base window and the roll-ups, milliseconds. All of history is made from these. */
  readonly tilingMs: readonly number[]
  /** By size in milliseconds: for how long windows are kept, counted from the end of the last one. */
  readonly retentionMs: ReadonlyMap<number, number>
}

/**
 * What became of a record: kept; removed (a tombstone of a window that was held); old, when what is held stands higher or
 * as high, or the window is past its retention; foreign, when it is no result under its own key.
 */
export type Accepted = 'kept' | 'removed' | 'old' | 'foreign'

export type StoreRecord = { readonly key: Buffer | null; readonly value: Buffer | null }

/** The head of a result as our reducer writes it; any other order of the fields only takes longer to read. */
const HEAD =
  /^\{"v":1,"generation":(\d{1,7}),"window":\{[^{}]*\},"status":"(provisional|final|corrected)","revision":(\d{1,16}),/
const HEAD_BYTES = 256

/** Windows of a size that are kept when nothing else is set. */
const WINDOWS_KEPT = 20_000
/** A topic has the sizes of its levels; that many others could only be somebody's mistake. */
const MAX_SIZES = 64

/** The results of one generation by window: of each the greatest, as the topic told them. */
export class ResultStore {
  readonly #options: StoreOptions
  readonly #sizes = new Map<number, SizeWindows>()
  #version = 0
  /** Those of the result that was written last, of which size and window ever. */
  #totals: { readonly writtenMs: number; readonly totals: Result['stream_totals'] } | null = null
  #history: { readonly version: number; readonly history: History } | null = null

  constructor(options: StoreOptions) {
    this.#options = options
  }

  /** Changes whenever anything held does. */
  get version(): number {
    return this.#version
  }

  /** The sizes of which windows are held, ascending. */
  get sizes(): readonly SizeWindows[] {
    return [...this.#sizes.values()].filter(({ size }) => size > 0).sort((a, b) => a.sizeMs - b.sizeMs)
  }

  /** The windows of a size; null when none was ever held. */
  windowsOf(sizeMs: number): SizeWindows | null {
    return this.#sizes.get(sizeMs) ?? null
  }

  /**
   * Takes in records of one partition, in their order; to the same end as `accept` of each, but much faster when a log
   * holds many revisions of a window: the last ones are read first, and of those before them little more than the head.
   */
  acceptAll<R extends StoreRecord>(records: readonly R[]): (R & { readonly accepted: Accepted })[] {
    const byKey = new Map<string, number[]>()
    records.forEach(({ key }, i) => {
      const text = key === null ? '' : key.toString('latin1')
      const places = byKey.get(text)
      if (places === undefined) byKey.set(text, [i])
      else places.push(i)
    })
    const told: (R & { readonly accepted: Accepted })[] = []
    for (const places of byKey.values()) {
      // A tombstone parts what is before it from what comes after: neither may be read out of turn.
      const hasTombstone = places.some(place => records[place]?.value === null)
      for (const place of hasTombstone ? places : places.toReversed()) {
        const record = records[place] as R
        told.push({ ...record, accepted: this.#isPassed(record) ? 'old' : this.accept(record.key, record.value) })
      }
    }
    return told
  }

  /** Takes a record of the results topic in. */
  accept(key: Buffer | null, value: Buffer | null): Accepted {
    if (key === null) return 'foreign'
    if (value === null) return this.#remove(key.toString())
    const result = decodeResult(value)
    if (result === null || resultKey(result) !== key.toString()) return 'foreign'
    const { window, generation, revision, status, batch_size: count, exact, quality } = result
    const startMs = Date.parse(window.start)
    const windows = this.#open(Date.parse(window.end) - startMs)
    if (windows === null) return 'foreign'
    const known = windows.get(startMs)
    if (known !== null && compareStanding(result, known) <= 0) return 'old'
    // Copied, since the value is a part of what a whole fetch brought.
    const json = Buffer.from(value)
    if (!windows.set({ generation, revision, status, startMs, count, exact, quality, json })) return 'old'
    this.#version++
    this.#hear(result)
    return 'kept'
  }

  /** What had become of all records when the last result was written; null before the first. */
  get streamTotals(): Result['stream_totals'] | null {
    return this.#totals?.totals ?? null
  }

  /** All of history, as far as it is held. */
  history(): History {
    if (this.#history?.version !== this.#version) {
      const folded = historyOf(this.#tiles())
      const history = { ...folded, stream_totals: this.streamTotals ?? folded.stream_totals }
      this.#history = { version: this.#version, history }
    }
    return this.#history.history
  }

  #hear({ current_time, stream_totals: totals }: Result): void {
    const writtenMs = Date.parse(current_time)
    const known = this.#totals
    const isLater =
      known === null ||
      writtenMs > known.writtenMs ||
      (writtenMs === known.writtenMs && totals.accepted > known.totals.accepted)
    if (isLater) this.#totals = { writtenMs, totals }
  }

  *#tiles(): Iterable<Result> {
    const tiling = this.#options.tilingMs
      .map(sizeMs => ({ sizeMs, windows: this.#sizes.get(sizeMs)?.byStart ?? new Map<number, Held>() }))
      .sort((a, b) => a.sizeMs - b.sizeMs)
    for (const { sizeMs, startMs } of tilesOfHistory(tiling)) {
      const held = this.#sizes.get(sizeMs)?.get(startMs)
      if (held) yield resultOf(held)
    }
  }

  /** Whether the head of a result tells that what is held stands higher or as high. False when it tells nothing. */
  #isPassed({ key, value }: StoreRecord): boolean {
    const named = key === null ? null : windowKeyOf(key.toString())
    const held = named === null ? null : (this.#sizes.get(named.sizeMs)?.get(named.startMs) ?? null)
    const head = value === null || held === null ? null : HEAD.exec(value.toString('latin1', 0, HEAD_BYTES))
    if (head === null || held === null) return false
    const [, generation, status, revision] = head
    const standing = { generation: Number(generation), status: status as ResultStatus, revision: Number(revision) }
    return compareStanding(standing, held) <= 0
  }

  #remove(key: string): Accepted {
    const named = windowKeyOf(key)
    const windows = named === null ? undefined : this.#sizes.get(named.sizeMs)
    if (named === null || windows === undefined || key !== `${windows.sizeText}/${isoTime(named.startMs)}`)
      return 'foreign'
    if (!windows.delete(named.startMs)) return 'old'
    this.#version++
    return 'removed'
  }

  #open(sizeMs: number): SizeWindows | null {
    const known = this.#sizes.get(sizeMs)
    if (known !== undefined) return known
    if (this.#sizes.size >= MAX_SIZES) return null
    const keptMs = this.#options.retentionMs.get(sizeMs)
    const keep =
      keptMs === undefined
        ? { keptMs: Number.POSITIVE_INFINITY, keptCount: WINDOWS_KEPT }
        : { keptMs, keptCount: Number.POSITIVE_INFINITY }
    const opened = new SizeWindows(sizeMs, keep)
    this.#sizes.set(sizeMs, opened)
    return opened
  }
}

/** The result that is held, read anew. */
export function resultOf({ json }: Held): Result {
  return JSON.parse(json.toString()) as Result
}
