import { readFileSync } from 'node:fs'
import { createRequire, Module } from 'node:module'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeFetchRequest, type FetchRequest } from '../../../../src/kafka/wire/fetchRequest.ts'
import { SEED } from '../../support.ts'

const load = createRequire(import.meta.url)
const THEIRS = load.resolve('kafkajs/src/protocol/requests/fetch/v11/request.js')

/** kafkajs's own, which ours stands in for once its mends are loaded. */
function theirModule(): (request: FetchRequest) => { encode(): Promise<{ buffer: Buffer }> } {
  const module = new Module(THEIRS) as Module & { _compile(code: string, file: string): void; exports: never }
  module.filename = THEIRS
  module._compile(readFileSync(THEIRS, 'utf8'), THEIRS)
  return module.exports
}

const int32 = fc.integer({ min: -1, max: 2 ** 31 - 1 })
const offset = fc.maxSafeNat()
const partition = fc.record(
  {
    partition: int32,
    currentLeaderEpoch: int32,
    fetchOffset: fc.oneof(offset.map(String), offset, fc.constant('9223372036854775807')),
    logStartOffset: fc.integer({ min: -1, max: 2 ** 40 }),
    maxBytes: int32,
  },
  { requiredKeys: ['partition', 'fetchOffset', 'maxBytes'] },
)
const topic = fc.record({
  topic: fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 30 })),
  partitions: fc.array(partition, { maxLength: 70 }),
})
const request = fc.record(
  {
    ...{ replicaId: int32, maxWaitTime: int32, minBytes: int32, maxBytes: int32 },
    isolationLevel: fc.constantFrom(0, 1),
    ...{ sessionId: int32, sessionEpoch: int32 },
    topics: fc.array(topic, { maxLength: 4 }),
    rackId: fc.string({ maxLength: 9 }),
  },
  { requiredKeys: ['replicaId', 'maxWaitTime', 'minBytes', 'maxBytes', 'topics'] },
)

it('a fetch request is byte for byte that of kafkajs, behind as much room as was asked for', async () => {
  const theirs = theirModule()
  const property = fc.asyncProperty(request, fc.nat(300), async (given, headroom) => {
    const ours = encodeFetchRequest(given as FetchRequest, headroom)
    expect(ours.equals((await theirs(given as FetchRequest).encode()).buffer)).toBe(true)
    expect(ours.byteOffset).toBeGreaterThanOrEqual(headroom)
  })
  await fc.assert(property, { seed: SEED, numRuns: 300 })
})
