import { crc32c } from '@node-rs/crc32'
import type { Kernel, KernelMemory } from '../../events/kernelInstance.ts'
import { LAYOUT } from '../../events/kernelLayout.ts'

const { INPUT_BYTES, FOLD_BYTES } = LAYOUT
const PIECE_BYTES = INPUT_BYTES
/** Two vectors: the first bytes of all, behind up to fifteen zeros. */
const HEAD_BYTES = 32
/** Of a CRC-32C, before its first byte; the complement of what is left behind its last one is the checksum. */
const BEGIN = 0xffffffff
const VECTOR_BYTES = 16
/** For less, folding and a call out of JavaScript cost more than they save. */
const LEAST_BYTES = 4 * FOLD_BYTES

/** Tells checksums, with a part of the kernel's memory that is nobody else's meanwhile. */
export class Checksums {
  readonly #kernel: Kernel
  readonly #memory: Uint8Array
  readonly #folded: number
  readonly #input: number
  readonly #rest: Buffer

  /**
   * @param folded where FOLD_BYTES + INPUT_BYTES of the memory may be used
   * @param input where INPUT_BYTES more may be
   */
  constructor(kernel: Kernel, { buffer }: KernelMemory, folded: number, input: number) {
    this.#kernel = kernel
    this.#memory = new Uint8Array(buffer)
    this.#folded = folded
    this.#input = input
    this.#rest = Buffer.from(buffer, input, FOLD_BYTES)
  }

  /**
   * The CRC-32C of bytes [start, end). Many are folded first, kernel/fold.ts, which takes about half the time: the few that
   * this leaves have the same remainder.
   */
  of(bytes: Buffer, start: number, end: number): number {
    if (end - start < LEAST_BYTES) return crc32c(bytes.subarray(start, end))
    const [kernel, memory, folded, input] = [this.#kernel, this.#memory, this.#folded, this.#input]
    // Zeros before the first byte change nothing once it holds what a checksum begins with.
    const padding = (VECTOR_BYTES - ((end - start) % VECTOR_BYTES)) % VECTOR_BYTES
    const first = start + HEAD_BYTES - padding
    memory.fill(0, input, input + padding)
    memory.set(bytes.subarray(start, first), input + padding)
    for (let i = 0; i < 4; i++) memory[input + padding + i]! ^= 0xff
    kernel.beginFold(folded)
    kernel.fold(folded, input, HEAD_BYTES)
    const isHere = bytes.buffer === memory.buffer
    for (let at = first; at < end - FOLD_BYTES; ) {
      const length = Math.min(PIECE_BYTES, end - FOLD_BYTES - at)
      if (!isHere) memory.set(bytes.subarray(at, at + length), input)
      kernel.fold(folded, isHere ? bytes.byteOffset + at : input, length)
      at += length
    }
    memory.set(bytes.subarray(end - FOLD_BYTES, end), input)
    kernel.endFold(folded, input)
    // The call begins with the complement of what it is given, which has to be nothing.
    return crc32c(this.#rest, BEGIN)
  }
}
