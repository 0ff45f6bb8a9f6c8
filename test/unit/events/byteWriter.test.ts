import { expect, it } from 'vitest'
import { ByteWriter } from '../../../src/events/byteWriter.ts'

/** A part's length as a zigzag varint, and the part. */
function partOf(part: Uint8Array): Uint8Array {
  const length: number[] = []
  let rest = part.length * 2
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Uint8Array.from([...length, rest]), part])
}

it('keeps a part whole wherever its array comes to its end', () => {
  for (let filled = 0; filled < 200; filled++) {
    for (const size of [0, 1, 2, 5, 63, 64, 100]) {
      for (const reserved of [1, 2]) {
        const out = new ByteWriter(200)
        const before = new Uint8Array(filled).fill(7)
        const part = Uint8Array.from({ length: size }, (_, i) => i + 1)
        out.piece(before)
        const start = out.open(reserved)
        out.piece(part)
        out.close(start, reserved)
        const written = Buffer.from(out.bytes.subarray(0, out.length))
        expect(written.equals(Buffer.concat([before, partOf(part)])), `${filled} and ${size}, ${reserved}`).toBe(true)
      }
    }
  }
})

it('keeps digits whole wherever its array comes to its end', () => {
  for (let filled = 0; filled < 64; filled++) {
    const out = new ByteWriter(64)
    out.piece(new Uint8Array(filled).fill(7))
    const start = out.open(1)
    out.digits(1_234_567_890_123)
    out.close(start, 1)
    expect(Buffer.from(out.bytes.subarray(filled + 1, out.length)).toString()).toBe('1234567890123')
    expect(out.bytes[filled]).toBe(26)
  }
})
