import { crc32c } from '@node-rs/crc32'
import { areInKernel, KERNEL, KERNEL_BYTES, LAYOUT } from '../../events/kernel.ts'

const { INPUT, INPUT_BYTES, FOLD_BYTES } = LAYOUT
const PIECE_BYTES = INPUT_BYTES
/** Two vectors: the first bytes of all, behind up to fifteen zeros. */
const HEAD_BYTES = 32
/** Of a CRC-32C, before its first byte; the complement of what is left behind its last one is the checksum. */
const BEGIN = 0xffffffff
const VECTOR_BYTES = 16
/** For less, folding and a call out of JavaScript cost more than they save. */
const LEAST_BYTES = 4 * FOLD_BYTES
const REST = Buffer.from(KERNEL_BYTES.buffer, INPUT, FOLD_BYTES)

/**
 * The CRC-32C of bytes [start, end). Many are folded first, kernel/fold.ts, which takes about half the time: the few that
 * this leaves have the same remainder.
 */
export function checksumOf(bytes: Buffer, start: number, end: number): number {
  if (end - start < LEAST_BYTES) return crc32c(bytes.subarray(start, end))
  // Zeros before the first byte change nothing once it holds what a checksum begins with.
  const padding = (VECTOR_BYTES - ((end - start) % VECTOR_BYTES)) % VECTOR_BYTES
  const first = start + HEAD_BYTES - padding
  KERNEL_BYTES.fill(0, INPUT, INPUT + padding)
  KERNEL_BYTES.set(bytes.subarray(start, first), INPUT + padding)
  for (let i = 0; i < 4; i++) KERNEL_BYTES[INPUT + padding + i]! ^= 0xff
  KERNEL.beginFold()
  KERNEL.fold(INPUT, HEAD_BYTES)
  const isHere = areInKernel(bytes)
  for (let at = first; at < end - FOLD_BYTES; ) {
    const length = Math.min(PIECE_BYTES, end - FOLD_BYTES - at)
    if (!isHere) KERNEL_BYTES.set(bytes.subarray(at, at + length), INPUT)
    KERNEL.fold(isHere ? bytes.byteOffset + at : INPUT, length)
    at += length
  }
  KERNEL_BYTES.set(bytes.subarray(end - FOLD_BYTES, end), INPUT)
  KERNEL.endFold()
  // The call begins with the complement of what it is given, which has to be nothing.
  return crc32c(REST, BEGIN)
}
