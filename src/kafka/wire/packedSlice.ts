import type { PackedRecords } from '../../tasks/packedRecords.ts'
import { murmur2Of } from './murmur2.ts'
import { varintBytes } from './writer.ts'

/** Some of a pack's records, in their order: those of one record batch. */
export class PackedSlice {
  readonly packed: PackedRecords
  readonly bytes: Buffer
  readonly indices: Int32Array
  /** What the records come to in the pack. */
  readonly byteLength: number
  /** Whether they are a whole run of the pack, whose bytes are those of a batch. */
  readonly isRun: boolean

  constructor(packed: PackedRecords, indices: Int32Array, byteLength: number, isRun = false) {
    this.packed = packed
    this.bytes = bytesOf(packed)
    this.indices = indices
    this.byteLength = byteLength
    this.isRun = isRun
  }

  get length(): number {
    return this.indices.length
  }
}

/** Of a record in a batch, beside what the pack holds of it: lengths and deltas. */
const OVERHEAD_BYTES = 12

/**
 * The batches that a pack's records make: each record in the partition that its key's murmur2 chooses, in order, and each
 * batch of at most `maxBytes`; a record that is larger by itself goes alone.
 * @returns of each partition its batches, in order
 */
export function slicesOf(
  packed: PackedRecords,
  partitions: number,
  maxBytes: number,
): ReadonlyMap<number, PackedSlice[]> {
  const { count } = packed
  const bytes = bytesOf(packed)
  const chosen = new Int32Array(count)
  const counts = new Int32Array(partitions)
  for (let i = 0; i < count; i++) {
    const partition = partitionOf(bytes, packed.startOf(i), partitions)
    chosen[i] = partition
    counts[partition] = (counts[partition] as number) + 1
  }
  const sorted = sortedBy(chosen, counts)
  const slices = new Map<number, PackedSlice[]>()
  const [only = 0] = chosen
  if (counts[only] === count) return slices.set(only, runsOf(packed, sorted, maxBytes))
  let from = 0
  for (let partition = 0; partition < partitions; partition++) {
    const to = from + (counts[partition] as number)
    if (to > from) slices.set(partition, cut(packed, sorted.subarray(from, to), maxBytes))
    from = to
  }
  return slices
}

/** The indices 0, 1, 2, … ordered by the partition of each, and within one as they were. */
function sortedBy(chosen: Int32Array, counts: Int32Array): Int32Array {
  const next = new Int32Array(counts.length)
  for (let i = 1; i < counts.length; i++) next[i] = (next[i - 1] as number) + (counts[i - 1] as number)
  const sorted = new Int32Array(chosen.length)
  for (let i = 0; i < chosen.length; i++) {
    const partition = chosen[i] as number
    const at = next[partition] as number
    sorted[at] = i
    next[partition] = at + 1
  }
  return sorted
}

/**
 * All records of the pack are for one partition: its runs are batches. Where one is too large, all are cut anew: pieces of
 * runs, each with a remainder, would be more batches than need be.
 */
function runsOf(packed: PackedRecords, indices: Int32Array, maxBytes: number): PackedSlice[] {
  const slices: PackedSlice[] = []
  for (const [number, from] of packed.runs.entries()) {
    const to = packed.runs[number + 1] ?? packed.count
    const bytes = packed.wholeStartOf(to) - packed.wholeStartOf(from)
    if (bytes > maxBytes) return cut(packed, indices, maxBytes)
    if (to > from) slices.push(new PackedSlice(packed, indices.subarray(from, to), bytes, true))
  }
  return slices
}

function cut(packed: PackedRecords, indices: Int32Array, maxBytes: number): PackedSlice[] {
  const slices: PackedSlice[] = []
  let from = 0
  let bytes = 0
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number
    const size = packed.endOf(index) - packed.startOf(index)
    if (i > from && bytes + size + (i - from + 1) * OVERHEAD_BYTES > maxBytes) {
      slices.push(new PackedSlice(packed, indices.subarray(from, i), bytes))
      from = i
      bytes = 0
    }
    bytes += size
  }
  slices.push(new PackedSlice(packed, indices.subarray(from), bytes))
  return slices
}

function partitionOf(bytes: Buffer, start: number, partitions: number): number {
  // The key's length, a zigzag varint of at most five bytes.
  let length = 0
  for (let shift = 0, at = start; ; shift += 7) {
    const byte = bytes[at++] as number
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  length >>>= 1
  const keyAt = start + varintBytes(length)
  return murmur2Of(bytes, keyAt, keyAt + length) % partitions
}

function bytesOf({ bytes }: PackedRecords): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
