import { expect, it } from 'vitest'
import { ByteWriter, Piece } from '../../../src/events/byteWriter.ts'

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
        out.array(before)
        const start = out.open(reserved)
        out.array(part)
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
    out.array(new Uint8Array(filled).fill(7))
    const start = out.open(1)
    out.digits(1_234_567_890_123)
    out.close(start, 1)
    expect(Buffer.from(out.bytes.subarray(filled + 1, out.length)).toString()).toBe('1234567890123')
    expect(out.bytes[filled]).toBe(26)
  }
})

/** The numbers from `first` on, as bytes. */
const bytesFrom = (first: number, count: number) => Uint8Array.from({ length: count }, (_, i) => first + i)

it('copies ranges and pieces of every length to every place, whatever stands around them', () => {
  for (let count = 0; count < 260; count++) {
    for (const [before, behind] of [
      [0, 0],
      [3, 7],
      [1, 8],
      [5, 100],
    ] as const) {
      const wanted = bytesFrom(17, count)
      const source = Buffer.concat([bytesFrom(101, before), wanted, bytesFrom(151, behind)])
      // Room for this and nothing else: words must not reach beyond it, nor what comes next be lost under them.
      const out = new ByteWriter(1)
      out.array(bytesFrom(201, before))
      out.range(source, before, before + count)
      out.piece(new Piece(wanted))
      out.range(source.subarray(before, before + count), 0, count)
      out.ascii('end')
      const expected = [bytesFrom(201, before), wanted, wanted, wanted, Buffer.from('end')]
      expect(Buffer.from(out.bytes.subarray(0, out.length)).equals(Buffer.concat(expected)), `${count}`).toBe(true)
    }
  }
})

it('writes whole numbers up to the greatest in digits', () => {
  const numbers = [0, 7, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 21_474_836_470, 99_999_999_999]
  for (const number of [...numbers, Number.MAX_SAFE_INTEGER]) {
    const out = new ByteWriter(1)
    out.digits(number)
    expect(Buffer.from(out.bytes.subarray(0, out.length)).toString()).toBe(String(number))
  }
})
