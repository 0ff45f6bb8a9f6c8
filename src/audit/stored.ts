import type { TopicReader } from '../kafka/admin.ts'
import { decodeResult, isResult, resultKey } from '../results/decode.ts'
import { compareStanding, type DeviceStats, type Result, type ResultStatus, type Standing } from '../results/result.ts'

/** What is known of a stored result before it is chosen. */
export type Entry = {
  readonly key: string
  readonly size: string
  readonly status: ResultStatus
  readonly within: boolean
}

/** Where results are stored: the newest of every window. */
export type StoredResults = {
  /** All windows there are. `isWithin` is asked of each newest result. */
  list(isWithin: (result: Result) => boolean): Promise<Entry[]>
  /** The newest results of these windows; those that are not there are left out. */
  load(keys: ReadonlySet<string>): Promise<Map<string, Result>>
}

/** The results topic, read from its start at each call. Records that are no results are left alone. */
export function resultsInTopic(reader: Pick<TopicReader, 'readAll'>, topic: string): StoredResults {
  const read = async (onResult: (key: string, result: Result) => void) => {
    await reader.readAll({
      topic,
      readCommitted: true,
      onMessage: ({ key, value }) => {
        const result = value === null ? null : decodeResult(value)
        if (result !== null && key?.toString() === resultKey(result)) onResult(resultKey(result), result)
      },
    })
  }
  return {
    async list(isWithin) {
      const newest = new Map<string, Entry & Standing>()
      await read((key, result) => {
        const { generation, revision, status, window } = result
        const known = newest.get(key)
        if (known !== undefined && compareStanding(known, result) > 0) return
        newest.set(key, { key, size: window.size, generation, revision, status, within: isWithin(result) })
      })
      return [...newest.values()]
    },
    async load(keys) {
      const newest = new Map<string, Result>()
      await read((key, result) => {
        const known = newest.get(key)
        if (keys.has(key) && (known === undefined || compareStanding(known, result) <= 0)) newest.set(key, result)
      })
      return newest
    },
  }
}

/** Runs one statement; `params` are its $1, $2, ... */
export type SqlQuery = (
  text: string,
  params: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>

const ROWS_AT_ONCE = 500

/** The table that `tidemark sink` fills. */
export function resultsInSql(query: SqlQuery): StoredResults {
  return {
    async list(isWithin) {
      const entries: Entry[] = []
      // By its key, so that a page begins where the one before ended; a window that comes meanwhile may be left out.
      for (let after = ['', '-infinity']; ; ) {
        const rows = await query(
          'select size, window_start::text as start, result from tidemark.windows ' +
            `where (size, window_start) > ($1, $2::timestamptz) order by size, window_start limit ${ROWS_AT_ONCE}`,
          after,
        )
        for (const { result } of rows) {
          if (!isResult(result)) continue
          const { status, window } = result
          entries.push({ key: resultKey(result), size: window.size, status, within: isWithin(result) })
        }
        const last = rows.at(-1)
        if (last === undefined || rows.length < ROWS_AT_ONCE) return entries
        after = [String(last.size), String(last.start)]
      }
    },
    async load(keys) {
      const found = new Map<string, Result>()
      const wanted = [...keys]
      for (let i = 0; i < wanted.length; i += ROWS_AT_ONCE) {
        const page = wanted.slice(i, i + ROWS_AT_ONCE).map(key => key.split('/') as [string, string])
        const rows = await query(
          'select result from tidemark.windows where (size, window_start) in ' +
            '(select * from unnest($1::text[], $2::timestamptz[]))',
          [page.map(([size]) => size), page.map(([, start]) => start)],
        )
        for (const { result } of rows) if (isResult(result)) found.set(resultKey(result), result)
      }
      return found
    },
  }
}

/** The newest statistics of users and devices of these windows. */
export async function loadDeviceStats(
  reader: Pick<TopicReader, 'readAll'>,
  topic: string,
  keys: ReadonlySet<string>,
): Promise<Map<string, DeviceStats>> {
  const newest = new Map<string, DeviceStats>()
  await reader.readAll({
    topic,
    readCommitted: true,
    onMessage: ({ key, value }) => {
      const text = key?.toString() ?? ''
      const stats = value === null || !keys.has(text) ? null : readDeviceStats(value)
      if (stats === null) return
      const known = newest.get(text)
      if (known === undefined || compareStanding(known, stats) <= 0) newest.set(text, stats)
    },
  })
  return newest
}

/** Null when the bytes are no such record; its numbers are looked at when they are compared. */
function readDeviceStats(value: Uint8Array): DeviceStats | null {
  try {
    const json = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as DeviceStats | null
    const isOne = json?.v === 1 && Number.isInteger(json.generation) && Number.isInteger(json.revision)
    return isOne && ['provisional', 'final', 'corrected'].includes(json.status) ? json : null
  } catch {
    return null
  }
}
