import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ByteWriter } from '../../../src/events/byteWriter.ts'
import { countOf, recordsOf } from '../../../src/tasks/task.ts'
import { packOf } from '../kafka/packOf.ts'
import { SEED } from '../support.ts'

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc.constantFrom(63, 64, 8_191, 8_192, 70_000).map(length => 'é'.repeat(length / 2)),
)
// What is no text stays as it is: 0xff is in no text.
const binary = fc.uint8Array({ maxLength: 40 }).map(bytes => Uint8Array.from([0xff, ...bytes]))

it('records come out as they were put in, in their order, among others', () => {
  const headers = fc.array(fc.tuple(text, fc.oneof(text, binary, fc.constant(null))), { maxLength: 4 })
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text, headers), { maxLength: 70 }), given => {
      const packed = packOf(...given)
      const other = { topic: 'deadLetters', partition: 0, key: 'k', value: null } as const
      expect(recordsOf([other, packed])).toEqual([
        other,
        ...given.map(([key, value, own]) => ({ topic: 'enriched', partition: null, key, value, headers: own })),
      ])
      expect([countOf(packed), countOf(other)]).toEqual([given.length, 1])
    }),
    { seed: SEED, numRuns: 60 },
  )
})

it('a record that was begun and is not wanted leaves nothing behind', () => {
  const packed = packOf(['a', '1'])
  const before = packed.byteLength
  packed.beginKey()
  packed.out.text('b')
  packed.endKey()
  packed.beginValue()
  packed.out.text('2'.repeat(10_000))
  packed.undoRecord()
  expect([packed.byteLength, packed.count]).toEqual([before, 1])
  expect([...packed.records()].map(({ key }) => key)).toEqual(['a'])
})

it('records whose memory was given back are counted, and never read', () => {
  const packed = packOf(['a', '1'], ['b', '2'])
  packed.release()
  packed.release()
  expect(countOf(packed)).toBe(2)
  expect(() => recordsOf([packed])).toThrow('before their memory is given back')
  expect(() => packed.bytes).toThrow('before their memory is given back')
})

it('a writer writes digits and ranges of all lengths, and outgrows its first bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(), fc.maxSafeNat(), fc.uint8Array({ maxLength: 200 }))), parts => {
      const out = new ByteWriter(1)
      const wanted: number[] = []
      for (const part of parts) {
        if (typeof part === 'number') {
          out.digits(part)
          wanted.push(...Buffer.from(String(part)))
        } else {
          out.range(Uint8Array.from([1, ...part, 2]), 1, 1 + part.length)
          wanted.push(...part)
        }
      }
      expect([...out.bytes.subarray(0, out.length)]).toEqual(wanted)
    }),
    { seed: SEED },
  )
})
