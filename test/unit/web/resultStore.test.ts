import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareStanding, type Result } from '../../../src/results/result.ts'
import { type ResultStore, resultOf } from '../../../src/web/resultStore.ts'
import { aResult, T0 } from '../results/factory.ts'
import { SEED } from '../support.ts'
import { aStore, put } from './support.ts'

const heldOf = (store: ResultStore): Result[] => store.sizes.flatMap(held => [...held.byStart.values()].map(resultOf))
const keysOf = (store: ResultStore) => heldOf(store).map(({ window }) => `${window.size}/${window.start}`)
const startsOf = (store: ResultStore) => heldOf(store).map(({ window }) => (Date.parse(window.start) - T0) / 10_000)

describe('of each window the greatest is kept', () => {
  it.each<[string, Partial<Result>, 'kept' | 'old']>([
    ['a greater revision', { revision: 11, status: 'provisional' }, 'kept'],
    ['a smaller revision, though final', { revision: 9, status: 'corrected' }, 'old'],
    ['the same revision, corrected', { status: 'corrected' }, 'kept'],
    ['the same revision, provisional', { status: 'provisional' }, 'old'],
    ['the same again', {}, 'old'],
    ['a greater generation', { generation: 2, revision: 1, status: 'provisional' }, 'kept'],
  ])('%s: %s', (_what, over, wanted) => {
    const store = aStore([aResult()])
    const version = store.version
    expect(put(store, aResult('10s', T0, over))).toBe(wanted)
    expect(heldOf(store)).toEqual([aResult('10s', T0, wanted === 'kept' ? over : {})])
    expect(store.version !== version).toBe(wanted === 'kept')
  })

  it('whatever comes in which order, as often as it likes', () => {
    const result = fc
      .tuple(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('provisional', 'final', 'corrected'),
      )
      .map(([i, revision, status]) => aResult('10s', T0 + i * 10_000, { revision, status: status as Result['status'] }))
    fc.assert(
      fc.property(fc.array(result, { maxLength: 30 }), results => {
        const wanted = new Map<string, Result>()
        for (const each of results) {
          const known = wanted.get(each.window.start)
          if (known === undefined || compareStanding(each, known) > 0) wanted.set(each.window.start, each)
        }
        const store = aStore([...results, ...results.toReversed()])
        expect(new Map(heldOf(store).map(each => [each.window.start, each]))).toEqual(wanted)
      }),
      { seed: SEED },
    )
  })
})

it('many records at once come to the same as one by one', () => {
  const json = (over: object) => Buffer.from(JSON.stringify({ ...aResult('10s', T0, over), ...over }))
  const { v, window, ...rest } = aResult('10s', T0, { revision: 5 })
  const values = [
    ...[1, 2, 3, 4].flatMap(revision => ['provisional', 'final'].map(status => json({ revision, status }))),
    ...[null, Buffer.from('x'), json({ revision: 9, v: 2 }), json({ revision: 9, batch_size: -1 })],
    // The same fields in another order.
    Buffer.from(JSON.stringify({ ...rest, window, v })),
  ]
  const keys = ['10s/2023-09-12T00:00:00.000Z', '10s/2023-09-12T00:00:10.000Z', 'x'].map(key => Buffer.from(key))
  const record = fc.record({ key: fc.constantFrom(...keys, null), value: fc.constantFrom(...values) })
  fc.assert(
    fc.property(fc.array(record, { maxLength: 40 }), fc.array(record, { maxLength: 10 }), (before, records) => {
      const [single, bulk] = [aStore([]), aStore([])]
      for (const { key, value } of [...before, ...records]) single.accept(key, value)
      expect(bulk.acceptAll(before)).toHaveLength(before.length)
      expect(bulk.acceptAll(records)).toHaveLength(records.length)
      expect(heldOf(bulk)).toEqual(heldOf(single))
    }),
    { seed: SEED, numRuns: 500 },
  )
})

it('of revisions that are passed little is read', () => {
  const store = aStore([])
  // What is cut off cannot be decoded: it is passed by its head alone.
  const cut = (revision: number) => Buffer.from(JSON.stringify(aResult('10s', T0, { revision })).slice(0, 300))
  const key = Buffer.from('10s/2023-09-12T00:00:00.000Z')
  const values = [cut(1), cut(2), Buffer.from(JSON.stringify(aResult('10s', T0, { revision: 3 })))]
  const told = store.acceptAll(values.map(value => ({ key, value })))
  expect(told.map(({ accepted }) => accepted)).toEqual(['kept', 'old', 'old'])
})

describe('what is no result of its key changes nothing', () => {
  const store = aStore([aResult()])
  const key = Buffer.from('10s/2023-09-12T00:00:00.000Z')
  const text = (over: object) => Buffer.from(JSON.stringify({ ...aResult('10s', T0, { revision: 99 }), ...over }))
  it.each<[string, Buffer | null, Buffer | null]>([
    ['no key', null, text({})],
    ["another window's key", Buffer.from('10s/2023-09-12T00:00:10.000Z'), text({})],
    ['a key in other words', Buffer.from('10s/2023-09-12T00:00:00Z'), text({})],
    ['no JSON', key, Buffer.from('{')],
    ['another version', key, text({ v: 2 })],
    ['a damaged field', key, text({ batch_size: -1 })],
    ['a tombstone of something else', Buffer.from('x'), null],
    ['a tombstone of nothing', null, null],
  ])('%s', (_what, key, value) => {
    const version = store.version
    expect(store.accept(key, value)).toBe('foreign')
    expect([store.version, heldOf(store)]).toEqual([version, [aResult()]])
  })
})

it('a tombstone takes its window away, as compaction would', () => {
  const store = aStore([aResult(), aResult('1m')])
  const key = Buffer.from('10s/2023-09-12T00:00:00.000Z')
  expect([store.accept(key, null), store.accept(key, null)]).toEqual(['removed', 'old'])
  expect(keysOf(store)).toEqual(['1m/2023-09-12T00:00:00.000Z'])
  expect(store.windowsOf(10_000)?.select({ ...everything, limit: 9 }).windows).toEqual([])
})

const everything = {
  fromMs: 0,
  toMs: Number.POSITIVE_INFINITY,
  statuses: new Set(['provisional', 'final', 'corrected'] as const),
  order: 'asc',
  limit: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
} as const

describe('what is kept is bounded', () => {
  it('by the retention of the size, from its last window back', () => {
    const retentionMs = new Map([[10_000, 30_000]])
    const store = aStore([], { retentionMs })
    for (const i of [5, 0, 9, 7, 6, 10, 2, 8]) put(store, aResult('10s', T0 + i * 10_000))
    put(store, aResult('1m', T0))
    expect(startsOf(store)).toEqual([9, 10, 8, 0])
    expect(put(store, aResult('10s', T0 + 70_000, { revision: 99 }))).toBe('old')
    const shuffled = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 })
    fc.assert(
      fc.property(shuffled, order => {
        const results = order.map(i => aResult('10s', T0 + i * 10_000))
        expect(startsOf(aStore(results, { retentionMs })).sort()).toEqual([5, 6, 7])
      }),
      { seed: SEED },
    )
  })

  it('to the latest 20,000 of a size where no retention is set', () => {
    const store = aStore([])
    for (let i = 0; i < 20_005; i++) put(store, aResult('10s', T0 + i * 10_000))
    const held = store.windowsOf(10_000)
    expect([held?.size, held?.byStart.size, held?.first()?.startMs]).toEqual([20_000, 20_000, T0 + 50_000])
  })

  it('to a page of so many bytes', () => {
    const store = aStore([0, 1, 2].map(i => aResult('10s', T0 + i * 10_000)))
    const held = store.windowsOf(10_000)
    const bytes = held?.first()?.json.length ?? 0
    const count = (maxBytes: number) => held?.select({ ...everything, maxBytes }).windows.length
    expect([count(1), count(bytes), count(bytes + 1), count(9 * bytes)]).toEqual([1, 1, 2, 3])
  })
})
