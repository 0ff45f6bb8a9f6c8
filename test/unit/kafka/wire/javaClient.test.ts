import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type WireMessage, writeRecordBatch } from '../../../../src/kafka/wire/encode.ts'
import { murmur2 } from '../../../../src/kafka/wire/murmur2.ts'
import { PackedSlice } from '../../../../src/kafka/wire/packedSlice.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { WireRecords } from '../../../../src/kafka/wire/records.ts'
import { Writer } from '../../../../src/kafka/wire/writer.ts'
import { PackedRecords, packHeader } from '../../../../src/tasks/packedRecords.ts'

/** Written by javaClient/JavaClient.java, which says what the fields are and how to write them again. */
type JavaBatch = {
  readonly producerId: string
  readonly epoch: number
  readonly sequence: number
  readonly transactional: boolean
  readonly bytes: string
  readonly records: readonly (readonly [
    number,
    string | null,
    number | null,
    string | null,
    ...[string, string | null][],
  ])[]
}

const lines = readFileSync(join(import.meta.dirname, 'javaClient', 'batches.jsonl'), 'utf8')
  .trim()
  .split('\n')
const batches = lines.map(line => JSON.parse(line) as JavaBatch)

const bytes = (base64: string | null) => (base64 === null ? null : Buffer.from(base64, 'base64'))
/** The text of the bytes where they are one. */
const text = (base64: string | null) => {
  const found = bytes(base64)
  return found !== null && Buffer.from(found.toString()).equals(found) ? found.toString() : found
}

const stateOf = ({ producerId, epoch, transactional }: Omit<JavaBatch, 'records'>) => {
  return { producerId: BigInt(producerId), producerEpoch: epoch, transactional, compression: 0 }
}

function written(batch: JavaBatch, part: (base64: string | null) => string | Buffer | null): Buffer {
  const messages = batch.records.map(([timestamp, key, , value, ...headers]): WireMessage => {
    const named = headers.map(([name, header]) => [String(bytes(name)), part(header)] as const)
    return { timestamp, key: part(key), value: part(value), headers: named }
  })
  const writer = new Writer()
  writeRecordBatch(writer, messages, batch.sequence, stateOf(batch), 0)
  return Buffer.from(writer.view())
}

it('the corpus has what differs: many records, headers that repeat or are null, texts beyond ASCII', () => {
  const records = batches.flatMap(batch => batch.records)
  expect(Math.max(...batches.map(batch => batch.records.length))).toBeGreaterThan(64)
  expect(records.some(([, , , , ...headers]) => headers.some(([, value]) => value === null))).toBe(true)
  expect(records.some(([, , , , ...headers]) => new Set(headers.map(([name]) => name)).size < headers.length)).toBe(
    true,
  )
  expect(records.some(([, key]) => key === null)).toBe(true)
  expect(records.some(([, , , value]) => value === null)).toBe(true)
})

it.each(batches.map((batch, i) => [i, batch] as const))(
  'batch %i is byte for byte that of the Java client',
  (_, batch) => {
    expect(written(batch, bytes).toString('hex')).toBe(bytes(batch.bytes)?.toString('hex'))
    expect(written(batch, text).toString('hex')).toBe(bytes(batch.bytes)?.toString('hex'))
  },
)

it.each(batches.map((batch, i) => [i, batch] as const))('batch %i of the Java client is read as it was', (_, batch) => {
  const found = readRecordBatches(bytes(batch.bytes) as Buffer, 0, [], { maxBatchBytes: 1e6 })
  expect([found.corrupt, found.count]).toEqual([null, batch.records.length])
  const cursor = new WireRecords(found.blocks, found.count, 0, batch.records.length)
  const part = (from: Uint8Array, start: number, end: number) =>
    start < 0 ? null : Buffer.from(from.subarray(start, end)).toString('base64')
  const read: unknown[] = []
  while (cursor.next()) {
    const headers = cursor.headers().map(([name, value]) => {
      return [Buffer.from(name).toString('base64'), value === null ? null : Buffer.from(value).toString('base64')]
    })
    const key = part(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
    const value = part(cursor.valueBytes, cursor.valueStart, cursor.valueEnd)
    read.push([cursor.timestamp, key, key === null ? null : murmur2(bytes(key) as Buffer), value, ...headers])
  }
  expect(read).toEqual(batch.records)
})

it('records packed by the task make the batch that the Java client makes of them', () => {
  let packs = 0
  for (const { records, ...batch } of batches) {
    // Packed records have keys, values and one timestamp.
    const [first] = records
    if (
      first === undefined ||
      records.some(([at, key, , value]) => at !== first[0] || key === null || value === null)
    ) {
      continue
    }
    packs++
    const packed = new PackedRecords()
    for (const [, key, , value, ...headers] of records) {
      packed.beginKey()
      packed.out.array(bytes(key) as Buffer)
      packed.endKey()
      packed.beginValue()
      packed.out.array(bytes(value) as Buffer)
      packed.endValue()
      packed.out.varint(headers.length)
      for (const [name, header] of headers) packHeader(packed.out, [String(bytes(name)), bytes(header)])
      packed.endRecord()
    }
    const slice = new PackedSlice(packed, Int32Array.from(records.keys()), packed.byteLength)
    const writer = new Writer()
    writeRecordBatch(writer, slice, batch.sequence, stateOf(batch), first[0])
    expect(writer.view().toString('hex')).toBe(bytes(batch.bytes)?.toString('hex'))
  }
  expect(packs).toBeGreaterThan(2)
})

it('every key has the hash that the Java client chooses its partition by', () => {
  const keys = batches.flatMap(batch =>
    batch.records.flatMap(([, key, hash]) => (key === null ? [] : [[key, hash] as const])),
  )
  expect(keys.length).toBeGreaterThan(100)
  for (const [key, hash] of keys) {
    expect(murmur2(bytes(key) as Buffer)).toBe(hash)
    expect(murmur2(text(key) as string)).toBe(hash)
  }
})
