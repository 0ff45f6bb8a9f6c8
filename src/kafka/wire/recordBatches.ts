import type { CorruptBatch } from '../../runtime/ports.ts'
import {
  BASE_TIMESTAMP_AT,
  type BatchHeader,
  CODEC_MASK,
  CONTROL,
  COUNT_AT,
  HEAD_BYTES,
  hasItsCrc,
  int64,
  LOG_APPEND_TIME,
  MAX_TIMESTAMP_AT,
  RECORDS_AT,
  readHeader,
  TRANSACTIONAL,
} from './batchHeader.ts'
import { checksums, places } from './bodies.ts'
import { codecName, decompress } from './codecs.ts'
import { areRecords, type RecordBlock, WireRecords } from './records.ts'

/** A control record's key is its version and its type, both i16; type 0 ends a transaction as aborted. */
const ABORT_TYPE = 0

export type AbortedTransaction = { readonly producerId: string; readonly firstOffset: string }

/** What one fetch of one partition holds. */
export type FetchedRecords = {
  /** Record batches with readable records, in order. */
  readonly blocks: readonly RecordBlock[]
  /** Records in them. */
  readonly count: number
  /** First and last offset of the whole batches; null when there was none. They cover control and aborted records too. */
  readonly firstOffset: number | null
  readonly lastOffset: number | null
  /** The first batch that cannot be read; nothing behind it was looked at. */
  readonly corrupt: CorruptBatch | null
}

export type ReadRules = {
  /** The most that a batch may unpack to. What one fetch unpacks ends with the batch that passes this. */
  readonly maxBatchBytes: number
  /** The log's end as the broker told it, where it is known: a batch that reaches past it has a damaged offset. */
  readonly highWatermark?: number
}

/**
 * Takes apart the record batches of one fetch, checking each one's CRC and unpacking it. The last one may be cut off: a
 * fetch ends wherever its byte limit falls.
 *
 * The CRC does not cover the base offset, which brokers set. A damaged one is found where batches then overlap, or reach
 * past the log's end; one that only leaves a hole looks like compaction.
 * @param fetchOffset the offset asked for; batches that end before it are left out
 * @param aborted the transactions that read_committed must not show, as the fetch response lists them
 */
export function readRecordBatches(
  bytes: Buffer,
  fetchOffset: number,
  aborted: readonly AbortedTransaction[],
  rules: ReadRules,
): FetchedRecords {
  const read: ReadBatch[] = []
  let corrupt: CorruptBatch | null = null
  let unpacked = 0
  for (let at = 0; at + HEAD_BYTES <= bytes.length && unpacked <= rules.maxBatchBytes; ) {
    const from = nextOffsetOf(read, fetchOffset)
    const batch = readHeader(bytes, at)
    if (batch === null) break
    if ('reason' in batch) {
      corrupt = { from, to: null, reason: batch.reason, bytes: bytes.subarray(at) }
      break
    }
    at = batch.end
    const overlapped = read.at(-1)
    if (overlapped !== undefined && batch.baseOffset <= overlapped.header.lastOffset) {
      corrupt = overlap(bytes, read, batch, fetchOffset)
      break
    }
    if (batch.lastOffset < fetchOffset) continue
    const block = readBlock(bytes, batch, rules)
    if (typeof block === 'string') {
      const damaged = bytes.subarray(batch.start, batch.end)
      const logEnd = rules.highWatermark ?? Number.POSITIVE_INFINITY
      const begin = batch.baseOffset < logEnd ? Math.max(from, batch.baseOffset) : from
      const to = endOf(bytes, batch)
      // An end that is not in the log is no better than the offset that it was taken from.
      corrupt = { from: begin, to: to > begin && to <= logEnd ? to : null, reason: block, bytes: damaged }
      break
    }
    if (block.bytes !== bytes) unpacked += block.bytes.length
    read.push({ header: batch, block })
  }
  const isVisible = transactionFilter(aborted)
  const blocks = read.filter(({ header, block }) => isVisible(header, block)).map(({ block }) => block)
  return {
    blocks,
    count: blocks.reduce((sum, block) => sum + block.count, 0),
    firstOffset: read[0]?.header.baseOffset ?? null,
    lastOffset: read.at(-1)?.header.lastOffset ?? null,
    corrupt,
  }
}

type ReadBatch = { readonly header: BatchHeader; readonly block: RecordBlock }

function nextOffsetOf(read: readonly ReadBatch[], fetchOffset: number): number {
  return Math.max(fetchOffset, (read.at(-1)?.header.lastOffset ?? -1) + 1)
}

/**
 * Of two batches that overlap, the first has the damaged offset when it stands behind a hole; it is then taken back. Else
 * it is the second.
 */
function overlap(bytes: Buffer, read: ReadBatch[], second: BatchHeader, fetchOffset: number): CorruptBatch {
  const first = (read.at(-1) as ReadBatch).header
  const before = nextOffsetOf(read.slice(0, -1), fetchOffset)
  const reason = `a batch at offset ${second.baseOffset} behind one up to ${first.lastOffset}`
  if (first.baseOffset <= before || second.baseOffset <= before) {
    return { from: nextOffsetOf(read, fetchOffset), to: null, reason, bytes: bytes.subarray(second.start, second.end) }
  }
  read.pop()
  return { from: before, to: second.baseOffset, reason, bytes: bytes.subarray(first.start, first.end) }
}

/**
 * One past the last offset of a damaged batch, of which no field alone can be believed: where a sound batch follows, or
 * else what its count and its last delta agree on; -1 when they do not.
 */
function endOf(bytes: Buffer, batch: BatchHeader): number {
  if (batch.end + HEAD_BYTES <= bytes.length) {
    const next = readHeader(bytes, batch.end)
    if (next !== null && 'end' in next && hasItsCrc(bytes, next, checksums)) return next.baseOffset
  }
  const count = bytes.readInt32BE(batch.start + COUNT_AT)
  return count > 0 && count === batch.lastOffset - batch.baseOffset + 1 ? batch.lastOffset + 1 : -1
}

const EMPTY: RecordBlock = {
  bytes: Buffer.alloc(0),
  start: 0,
  end: 0,
  count: 0,
  baseOffset: 0,
  baseTimestamp: 0,
  appendTime: null,
}

/** The batch's records, or why they cannot be read. */
function readBlock(bytes: Buffer, batch: BatchHeader, rules: ReadRules): RecordBlock | string {
  const { start, end, baseOffset, attributes, lastOffset } = batch
  const { maxBatchBytes, highWatermark } = rules
  const isSound = places.isSound(bytes, start)
  if (!isSound && !hasItsCrc(bytes, batch, checksums)) return 'its CRC-32C does not match'
  if (highWatermark !== undefined && lastOffset >= highWatermark) {
    return `its offsets reach to ${lastOffset}, the log only to ${highWatermark - 1}`
  }
  const codec = codecName(attributes & CODEC_MASK)
  if (codec === null) return `unknown compression ${attributes & CODEC_MASK}`
  const count = bytes.readInt32BE(start + COUNT_AT)
  const appendTime = (attributes & LOG_APPEND_TIME) !== 0
  // Compaction leaves empty batches behind; those hold nothing that could be unpacked.
  if (codec !== 'none' && count === 0) return { ...EMPTY, baseOffset }
  const packed = codec !== 'none'
  let records = bytes
  try {
    if (packed) records = decompress(codec, bytes.subarray(start + RECORDS_AT, end), maxBatchBytes)
  } catch (error) {
    return `its ${codec} cannot be unpacked within ${maxBatchBytes} bytes: ${(error as Error).message}`
  }
  const block: RecordBlock = {
    bytes: records,
    start: packed ? 0 : start + RECORDS_AT,
    end: packed ? records.length : end,
    count,
    baseOffset,
    baseTimestamp: int64(bytes, start + BASE_TIMESTAMP_AT),
    appendTime: appendTime ? int64(bytes, start + MAX_TIMESTAMP_AT) : null,
  }
  if (isSound && !packed) return block
  return areRecords(block, lastOffset - baseOffset) ? block : 'its records do not fit its length'
}

/**
 * Tells batch by batch whether read_committed shows it: control batches never, and none of an aborted transaction, which
 * lasts from its first offset to its producer's abort marker.
 */
function transactionFilter(
  aborted: readonly AbortedTransaction[],
): (batch: BatchHeader, block: RecordBlock) => boolean {
  const waiting = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<string>()
  let taken = 0
  return ({ lastOffset, attributes, producerId }, block) => {
    for (let next = waiting[taken]; next !== undefined && next.firstOffset <= lastOffset; next = waiting[++taken]) {
      aborting.add(next.producerId)
    }
    if ((attributes & CONTROL) !== 0) {
      if (isAbortMarker(block)) aborting.delete(producerId)
      return false
    }
    return (attributes & TRANSACTIONAL) === 0 || !aborting.has(producerId)
  }
}

function isAbortMarker(block: RecordBlock): boolean {
  const record = new WireRecords([block], block.count, 0, 0)
  if (!record.next() || record.keyEnd - record.keyStart < 4) return false
  return block.bytes.readInt16BE(record.keyStart + 2) === ABORT_TYPE
}
