import { LENGTH_AT, LOG_OVERHEAD } from './batchHeader.ts'

/**
 * How large the record batch is that was cut off at the end of a fetch, by its header alone: nothing is checked, so it may be
 * wrong. Null when none was, or too little of it came to tell.
 */
export function cutOffBytes(bytes: Buffer): number | null {
  for (let at = 0; at + LOG_OVERHEAD <= bytes.length; ) {
    const size = LOG_OVERHEAD + bytes.readInt32BE(at + LENGTH_AT)
    if (size < LOG_OVERHEAD) return null
    if (at + size > bytes.length) return size
    at += size
  }
  return null
}

/** With batches that are smaller than this part of a fetch, what is cut off is not worth a thought. */
const SMALL_PART = 1 / 8
/** Batches of one producer differ a little in size. */
const SLACK = 1 / 64

/**
 * How much a fetch is to bring of a partition. What is cut off at its end was sent for nothing, nearly half of all where
 * a batch is a little larger than half of what may come.
 * @param next the size of the batch that it begins with; null where that is not known
 * @param most what may come
 */
export function wholeBatchBytes(next: number | null, most: number): number {
  if (next === null || next > most || next < most * SMALL_PART) return most
  const whole = Math.floor(most / next) * next
  return Math.min(most, Math.ceil(whole * (1 + SLACK)))
}
