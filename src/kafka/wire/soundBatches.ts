import type { Kernel } from '../../events/kernelInstance.ts'
import { type BatchHeader, CODEC_MASK, COUNT_AT, HEAD_BYTES, hasItsCrc, RECORDS_AT, readHeader } from './batchHeader.ts'
import type { Checksums } from './checksum.ts'

/**
 * Looks at the record batches of one fetch as `readRecordBatches` does, whose work it spares, and ends with the first one
 * that is not sound: its checksum, or records that are not packed. Nothing is said of that one: who reads it finds out why.
 * @param bytes in the kernel's memory
 * @param onSound told where in them each sound one begins
 */
export function findSound(bytes: Buffer, kernel: Kernel, checksums: Checksums, onSound: (start: number) => void): void {
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const batch = readHeader(bytes, at)
    if (batch === null || 'reason' in batch || !isSound(bytes, batch, kernel, checksums)) return
    onSound(at)
    at = batch.end
  }
}

function isSound(bytes: Buffer, batch: BatchHeader, kernel: Kernel, checksums: Checksums): boolean {
  const { start, end, attributes, baseOffset, lastOffset } = batch
  if (!hasItsCrc(bytes, batch, checksums)) return false
  if ((attributes & CODEC_MASK) !== 0) return true
  const [from, to] = [bytes.byteOffset + start + RECORDS_AT, bytes.byteOffset + end]
  return kernel.areRecords(from, to, bytes.readInt32BE(start + COUNT_AT), lastOffset - baseOffset) === 1
}
