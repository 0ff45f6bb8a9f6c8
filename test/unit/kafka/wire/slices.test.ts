import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventSlice } from '../../../../src/events/eventSlice.ts'
import { KERNEL_BODIES } from '../../../../src/events/kernel.ts'
import { LAYOUT } from '../../../../src/events/kernelLayout.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { areRecords, type RecordBlock, WireRecords } from '../../../../src/kafka/wire/records.ts'
import { SEED } from '../../support.ts'
import { inKernel, varint } from './batchBytes.ts'

const NAMES = ['a', 'b', 'ключ', '', 'traceparent']
const slice = new EventSlice({ maxEventBytes: 1 << 20, validationRequired: [] }, true)
const lines = readFileSync(join(import.meta.dirname, 'javaClient', 'batches.jsonl'), 'utf8')
  .trim()
  .split('\n')

/** All that a batch tells of the record that it shows. */
function shown(batch: WireRecords) {
  const part = (bytes: Uint8Array, start: number, end: number) =>
    start < 0 ? [start, end] : Buffer.from(bytes.subarray(start, end)).toString('latin1')
  return {
    offset: batch.offset,
    timestamp: batch.timestamp,
    key: part(batch.keyBytes, batch.keyStart, batch.keyEnd),
    value: part(batch.valueBytes, batch.valueStart, batch.valueEnd),
    headerCount: batch.headerCount,
    headers: batch.headers().map(([name, value]) => [name, value === null ? null : Buffer.from(value).toString('hex')]),
    found: NAMES.map(name => [batch.header(name), batch.headerByte(name, 0), batch.headerByte(name, 54)]),
  }
}

type Read = { readonly records: ReturnType<typeof shown>[]; readonly slices: number }

/** @param fills by turns, whether the next records are asked for as a slice or one of them by itself */
function read(blocks: readonly RecordBlock[], baseOffset: number, fills: readonly boolean[]): Read {
  const batch = new WireRecords(blocks, 0, baseOffset, 0)
  const records: ReturnType<typeof shown>[] = []
  let slices = 0
  for (let turn = 0; ; turn++) {
    if (fills[turn % fills.length] === true && batch.fill(slice)) {
      slices++
      for (let row = 0; row < slice.size; row++) {
        batch.show(row)
        if (batch.offset >= baseOffset) records.push(shown(batch))
      }
    } else if (batch.next()) records.push(shown(batch))
    else return { records, slices }
  }
}

/** The same blocks one behind the other in the kernel's memory, those that have room there. */
function placed(blocks: readonly RecordBlock[]): readonly RecordBlock[] {
  let at = 3
  return blocks.map(block => {
    if (at + block.bytes.length > KERNEL_BODIES.length * LAYOUT.BODY_BYTES) return block
    const bytes = inKernel(block.bytes, at)
    at += bytes.length
    return { ...block, bytes }
  })
}

/** The records of the blocks by slices, by turns, one by one, and where the kernel has them, which all have to be the same. */
function readAlike(blocks: readonly RecordBlock[], baseOffset = 0): Read {
  const bySlices = read(blocks, baseOffset, [true])
  const { records } = read(blocks, baseOffset, [false])
  expect(bySlices.records).toEqual(records)
  expect(read(blocks, baseOffset, [true, false, false]).records).toEqual(records)
  const inPlace = placed(blocks)
  expect(read(inPlace, baseOffset, [true]).records).toEqual(records)
  expect(read(inPlace, baseOffset, [false, true]).records).toEqual(records)
  return bySlices
}

function javaBlocks(line: string | undefined): readonly RecordBlock[] {
  const { bytes } = JSON.parse(line ?? '{}') as { bytes: string }
  return readRecordBatches(Buffer.from(bytes, 'base64'), 0, [], { maxBatchBytes: 1e6 }).blocks
}

describe('batches of the Java client', () => {
  it.each([...lines.keys()])('number %i is read by slices as record by record', i => {
    const { records, slices } = readAlike(javaBlocks(lines[i]))
    expect([records.length, slices]).toEqual([JSON.parse(lines[i] as string).records.length, 1])
  })

  it('one behind the other, from an offset within', () => {
    const blocks = lines.flatMap(javaBlocks)
    const { records, slices } = readAlike(blocks, 3)
    expect(records.every(({ offset }) => offset >= 3)).toBe(true)
    expect([slices, records.length > 100]).toEqual([blocks.length, true])
  })
})

/** The same number in more bytes than it needs, which no reader may mind; in no more than a number may have. */
function padded(value: number, more: number, most = 5): Buffer {
  const bytes = varint(value)
  const padding = Math.min(more, most - bytes.length)
  if (padding === 0) return bytes
  const last = bytes.length - 1
  bytes[last] = (bytes[last] as number) | 128
  return Buffer.concat([bytes, Buffer.alloc(padding - 1, 128), Buffer.alloc(1)])
}

const bytes = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  { weight: 2, arbitrary: fc.constantFrom(63, 64, 65).map(length => new Uint8Array(length).fill(0x80)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(8_191, 8_192, 40_000, 66_000).map(length => new Uint8Array(length).fill(0x22)),
  },
)
const nullable = fc.option(bytes, { freq: 4 })
const value = fc.option(fc.oneof(fc.constant(Buffer.from('{"user_id":"u","timestamp":1}')), bytes), { freq: 6 })
const record = fc.record({
  key: nullable,
  value,
  headers: fc.array(fc.tuple(fc.constantFrom(...NAMES), nullable), { maxLength: 3 }),
  offsetStep: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1_000_000 })),
  timestampDelta: fc.oneof(
    fc.constant(0),
    fc.integer(),
    fc.constantFrom(
      -(2 ** 45),
      2 ** 45,
      -(2 ** 53) - 2,
      2 ** 53 + 2,
      -(2 ** 60),
      2 ** 60,
      -(2 ** 63),
      -1,
      63,
      64,
      -64,
      -65,
    ),
  ),
  more: fc.tuple(fc.nat(1), fc.nat(2), fc.nat(1)),
})
type GivenRecord = typeof record extends fc.Arbitrary<infer R> ? R : never

/** @param before bytes in front of the records, as a fetch has them */
function blockOf(
  records: readonly GivenRecord[],
  baseOffset: number,
  before: number,
  appendTime: number | null,
): RecordBlock {
  let delta = -1
  const parts = records.map(({ key, value, headers, offsetStep, timestampDelta, more: [one, two, three] }) => {
    delta += offsetStep
    const part = (given: Uint8Array | null, more = 0) =>
      given === null ? varint(-1) : Buffer.concat([padded(given.length, more), given])
    const body = Buffer.concat([
      Buffer.from([7]),
      ...[
        padded(timestampDelta, two, 10),
        padded(delta, one),
        part(key, three),
        part(value, two),
        padded(headers.length, one),
      ],
      ...headers.flatMap(([name, given]) => [part(Buffer.from(name), three), part(given, one)]),
    ])
    return Buffer.concat([padded(body.length, one), body])
  })
  const all = Buffer.concat([Buffer.alloc(before, 0x91), ...parts, Buffer.alloc(before, 0x22)])
  const place = { bytes: all, start: before, end: all.length - before }
  const block = { ...place, count: records.length, baseOffset, baseTimestamp: 1_694_479_551_000, appendTime }
  expect(areRecords(block, delta)).toBe(true)
  expect(placed([block]).every(there => areRecords(there, delta))).toBe(true)
  return block
}

/** Some come so often that a slice has no rows for all. */
const some = fc
  .tuple(record, fc.oneof({ weight: 60, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(600) }))
  .map(([one, times]) => new Array<GivenRecord>(times).fill(times === 1 ? one : { ...one, value: null, headers: [] }))
const block = fc.tuple(
  fc.array(some, { maxLength: 9 }).map(records => records.flat()),
  fc.nat(9),
  fc.option(fc.constant(5), { freq: 4 }),
)

it('any sound records are read by slices as record by record, from any offset', () => {
  let [slices, records] = [0, 0]
  fc.assert(
    fc.property(fc.array(block, { maxLength: 3 }), fc.nat(4), (given, from) => {
      let baseOffset = 0
      const blocks = given.map(([own, before, appendTime]) => {
        const made = blockOf(own, baseOffset, before, appendTime)
        baseOffset += own.reduce((sum, { offsetStep }) => sum + offsetStep, 0)
        return made
      })
      const all = readAlike(blocks, from)
      slices += all.slices
      records += all.records.length
    }),
    { seed: SEED, numRuns: 100 },
  )
  expect(slices).toBeGreaterThan(100)
  expect(records).toBeGreaterThan(1_000)
})

it('a record too long for a slice is read by itself, and those around it by slices', () => {
  const usual = {
    key: null,
    headers: [],
    offsetStep: 1,
    timestampDelta: 0,
    more: [0, 0, 0] as [number, number, number],
  }
  const sizes = [10, 70_000, 10, 20, 65_536, 65_537]
  const own = blockOf(
    sizes.map(size => ({ ...usual, value: new Uint8Array(size) })),
    0,
    3,
    null,
  )
  const { records, slices } = readAlike([own])
  expect([records.map(({ value: found }) => found.length), slices]).toEqual([sizes, 2])
})

it('passes over any number of batches that compaction has emptied', () => {
  const empty: RecordBlock = { ...emptyBlock, baseOffset: 0 }
  const batch = () => new WireRecords(new Array<RecordBlock>(20_000).fill(empty), 0, 0, 0)
  expect([batch().next(), batch().fill(slice)]).toEqual([false, false])
})

const emptyBlock = { bytes: Buffer.alloc(0), start: 0, end: 0, count: 0, baseTimestamp: 0, appendTime: null }
