import { describe, expect, it } from 'vitest'
import { EventSlice } from '../../../../src/events/eventSlice.ts'
import { FetchedBatch, FetchedBytes, type FetchedPartition } from '../../../../src/kafka/wire/fetchedBatch.ts'
import { batchBytes, marker, record } from './batchBytes.ts'

const NOTHING = Buffer.alloc(0)

/** What a fetch from `from` brought; the log ends at 10. */
function fetched(from: number, bytes: Buffer, more: Partial<FetchedPartition> = {}): FetchedBatch {
  const data = { partition: 0, highWatermark: '10', lastStableOffset: '10', messages: new FetchedBytes(bytes), ...more }
  return new FetchedBatch('t', String(from), data)
}

function offsets(batch: FetchedBatch): number[] {
  const records = batch.records()
  const found: number[] = []
  while (records.next()) found.push(records.offset)
  return found
}

/** What kafkajs decides by: whether to pass the batch, to drop it, or to hand it on. */
const fateOf = (batch: FetchedBatch) =>
  batch.isEmptyDueToFiltering() ? 'passed' : batch.isEmpty() ? 'dropped' : 'handed on'

describe('what a fetch brought', () => {
  it('is handed on when there are records, from the offset asked for', () => {
    const batch = fetched(4, batchBytes([record(3), record(4), record(5)]))
    expect([fateOf(batch), batch.isStalled, batch.nextOffset, batch.firstOffset(), batch.lastOffset()]).toEqual([
      ...['handed on', false, 6, '4', '5'],
    ])
    expect([offsets(batch), batch.offsetLag(), batch.offsetLagLow()]).toEqual([[4, 5], '4', '5'])
  })

  it('is passed, up to its end, when it holds none that can be read', () => {
    const log = Buffer.concat([batchBytes([record(3)], { producerId: 7, transactional: true }), marker(4, 7, 'abort')])
    const batch = fetched(3, log, { abortedTransactions: [{ producerId: '7', firstOffset: '3' }] })
    expect([fateOf(batch), batch.lastOffset(), batch.isStalled]).toEqual(['passed', '4', false])
  })

  it('is dropped at the end of the log, and where only open transactions follow', () => {
    const atEnd = fetched(10, NOTHING)
    const atOpen = fetched(6, NOTHING, { lastStableOffset: '6' })
    const newLeader = fetched(12, NOTHING)
    for (const batch of [atEnd, atOpen, newLeader]) expect([fateOf(batch), batch.isStalled]).toEqual(['dropped', false])
  })

  it('is handed on as stalled when the log goes on and nothing of it can be read', () => {
    const whole = batchBytes([record(3), record(4)])
    for (const length of [0, 5, 30, 61, whole.length - 1]) {
      const batch = fetched(3, whole.subarray(0, length))
      expect([fateOf(batch), batch.isStalled, batch.corrupt, batch.nextOffset]).toEqual(['handed on', true, null, 3])
    }
    expect(fetched(3, NOTHING, { lastStableOffset: '-1' }).isStalled).toBe(true)
  })

  it('is handed on when it is damaged, with what comes before', () => {
    const damaged = batchBytes([record(5)])
    damaged[damaged.length - 1] = 9
    const batch = fetched(3, Buffer.concat([batchBytes([record(3), record(4)]), damaged]))
    expect([fateOf(batch), batch.isStalled, offsets(batch), batch.nextOffset]).toEqual(['handed on', false, [3, 4], 5])
    expect(batch.corrupt).toMatchObject({ from: 5, to: 6 })
    expect(fateOf(fetched(5, damaged))).toBe('handed on')
  })

  it('that a broker refuses is damaged from where it was asked for', () => {
    const batch = fetched(3, NOTHING, { messages: new FetchedBytes(NOTHING, 'it cannot'), highWatermark: '-1' })
    expect([fateOf(batch), batch.isStalled, offsets(batch), batch.nextOffset]).toEqual(['handed on', false, [], 3])
    expect(batch.corrupt).toMatchObject({ from: 3, to: null, reason: 'it cannot' })
  })

  it('is not believed past the end of the log, unless the broker does not yet know that end', () => {
    const log = batchBytes([record(900)])
    expect(fetched(3, log).corrupt).toMatchObject({ from: 3, to: null })
    expect(fetched(900, log, { highWatermark: '10' }).corrupt).toBeNull()
  })

  it.each([true, false])('that was released is read no more: slices asked for: %s', asksSlices => {
    const slice = new EventSlice({ maxEventBytes: 1_000, validationRequired: [] }, false)
    const batch = fetched(3, batchBytes([record(3), record(4)]))
    const records = batch.records()
    expect(records.next()).toBe(true)
    batch.release()
    expect(() => (asksSlices ? records.fill(slice) : records.next())).toThrow('their bytes are lent')
    expect(() => batch.corrupt).toThrow('its bytes are lent')
    const unread = fetched(3, batchBytes([record(3)]))
    unread.release()
    expect(() => unread.records()).toThrow('its bytes are lent')
  })

  it('gives its records once', () => {
    const batch = fetched(3, batchBytes([record(3)], { codec: 'gzip' }))
    expect([offsets(batch), offsets(batch), batch.nextOffset]).toEqual([[3], [], 4])
  })
})
