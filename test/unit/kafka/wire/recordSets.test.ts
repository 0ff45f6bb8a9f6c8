import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import '../../../../src/kafka/patches.ts'
import type { FetchedBytes } from '../../../../src/kafka/wire/fetchedBatch.ts'
import { findRecordSets } from '../../../../src/kafka/wire/recordSets.ts'
import { SEED } from '../../support.ts'

const load = createRequire(import.meta.url)
const VERSIONS = [4, 5, 6, 7, 8, 9, 10, 11]

type Given = {
  readonly name: string
  readonly partitions: readonly { readonly aborted: number; readonly records: Uint8Array | null }[]
}

const numbers = (bytes: number) => Buffer.alloc(bytes, 0x5a)
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const array = (parts: readonly Buffer[]) => Buffer.concat([int32(parts.length), ...parts])

/** A fetch response by the protocol's description, behind its correlation id. */
function responseOf(version: number, topics: readonly Given[]): Buffer {
  const head = [int32(7), int32(0), ...(version < 7 ? [] : [Buffer.alloc(2), numbers(4)])]
  const partitionOf = ({ aborted, records }: Given['partitions'][number], number: number) =>
    Buffer.concat([
      ...[int32(number), Buffer.alloc(2), numbers(16), ...(version < 5 ? [] : [numbers(8)])],
      ...[aborted < 0 ? int32(-1) : array(Array.from({ length: aborted }, () => numbers(16)))],
      ...[...(version < 11 ? [] : [int32(-1)]), int32(records?.length ?? -1), Buffer.from(records ?? [])],
    ])
  const topicOf = ({ name, partitions }: Given) => {
    const bytes = Buffer.from(name)
    const length = Buffer.alloc(2)
    length.writeInt16BE(bytes.length)
    return Buffer.concat([length, bytes, array(partitions.map(partitionOf))])
  }
  return Buffer.concat([...head, array(topics.map(topicOf))])
}

function foundIn(response: Buffer, version: number): Buffer[] {
  const found: Buffer[] = []
  findRecordSets(response, version, (start, end) => {
    expect(start >= 0 && start < end && end <= response.length).toBe(true)
    found.push(response.subarray(start, end))
  })
  return found
}

const partition = fc.record({
  aborted: fc.integer({ min: -1, max: 3 }),
  records: fc.option(fc.uint8Array({ maxLength: 40 })),
})
const topics = fc.array(
  fc.record({ name: fc.string({ maxLength: 9 }), partitions: fc.array(partition, { maxLength: 4 }) }),
  { maxLength: 3 },
)

describe('the record sets of a fetch response', () => {
  it('are those that kafkajs finds, by each version', async () => {
    let sets = 0
    const property = fc.asyncProperty(topics, fc.constantFrom(...VERSIONS), async (given, version) => {
      const response = responseOf(version, given)
      const { decode } = load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`)
      const { responses } = await decode(response.subarray(4))
      const partitions = responses.flatMap((topic: { partitions: { messages: FetchedBytes }[] }) => topic.partitions)
      const bytes = partitions.map(({ messages }: { messages: FetchedBytes }) => messages.bytes)
      const found = foundIn(response, version)
      expect(found).toEqual(bytes.filter((each: Buffer) => each.length > 0))
      sets += found.length
    })
    await fc.assert(property, { seed: SEED, numRuns: 500 })
    expect(sets).toBeGreaterThan(500)
  })

  it('lie within the response, whatever it says and wherever it ends', () => {
    const cut = fc.tuple(topics, fc.constantFrom(...VERSIONS), fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255))))
    fc.assert(
      fc.property(cut, ([given, version, length, damage]) => {
        const response = responseOf(version, given)
        for (const [at, byte] of damage) response[at % response.length] = byte
        foundIn(response.subarray(0, length % (response.length + 1)), version)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })

  it('are not looked for where a count has no end, nor by a version that nobody knows', () => {
    const response = responseOf(11, [{ name: 'a', partitions: [{ aborted: 0, records: new Uint8Array(9) }] }])
    expect([3, 12].map(version => foundIn(response, version))).toEqual([[], []])
    const endless = Buffer.from(response)
    endless.writeInt32BE(2 ** 31 - 1, 14)
    endless.writeInt32BE(2 ** 31 - 1, 21)
    expect(foundIn(endless, 11)).toHaveLength(1)
  })
})
