import { expect, it, vi } from 'vitest'
import { timeFetches } from '../../../src/kafka/fetchTimes.ts'
import { FetchedBatch, FetchedBytes } from '../../../src/kafka/wire/fetchedBatch.ts'

const batchOf = (partition: number) =>
  new FetchedBatch('user-login', '5', { partition, highWatermark: '5', messages: new FetchedBytes(Buffer.alloc(0)) })

it('has all that one fetch brings tell when it was asked for and when it came', async () => {
  vi.useFakeTimers({ now: 1_000 })
  try {
    const { promise, resolve } = Promise.withResolvers<FetchedBatch[]>()
    const asked: unknown[] = []
    const group = {
      own: 'kept',
      fetch(this: { own: string }, nodeId: string) {
        asked.push([this.own, nodeId])
        return promise
      },
    }
    timeFetches(group)
    const fetched = group.fetch('2')
    vi.setSystemTime(1_250)
    resolve([batchOf(0), batchOf(1)])
    const batches = await fetched
    expect(asked).toEqual([['kept', '2']])
    expect(batches.map(batch => batch.records().fetch)).toEqual([
      { askedMs: 1_000, cameMs: 1_250 },
      { askedMs: 1_000, cameMs: 1_250 },
    ])
    expect(batches[0]?.times).toBe(batches[1]?.times)
  } finally {
    vi.useRealTimers()
  }
})

it('is asked of nobody else', () => {
  expect(batchOf(0).records().fetch).toBeNull()
})
