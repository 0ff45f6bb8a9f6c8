import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createEnrichedText } from '../../../src/events/enrich.ts'
import { createPlaceReader } from '../../../src/events/place.ts'
import { createEnrichedSplice } from '../../../src/events/splice.ts'
import type { OutputRecord } from '../../../src/tasks/task.ts'
import { recordsIn, type TestRecord } from '../support.ts'
import { ALL, BASE, capture, feed, restore, settings } from './aggregateSupport.ts'

const OPTIONS = { timeZone: 'UTC', geo: () => ({ country: 'US', region: 'US-NY' }), hashUserId: null }
const MAX_BYTES = 10_000

/** What a task tells of these records, with the splice and without. */
function told(records: readonly TestRecord[], hashUserId: ((id: string) => string) | null = null, keyId?: string) {
  const options = { ...OPTIONS, hashUserId, fields: null }
  const run = (isSpliced: boolean): readonly OutputRecord[] => {
    const enriched = {
      enrich: createEnrichedText(options),
      splice: isSpliced ? createEnrichedSplice(options) : null,
      maxBytes: MAX_BYTES,
      userIdKeyId: keyId ?? null,
    }
    const place = createPlaceReader(options.geo).placeOf
    const task = restore(null, ALL, { maxEventBytes: 2 * MAX_BYTES, place, outputs: { ...settings.outputs, enriched } })
    capture(task)
    feed(task, ...records)
    return recordsIn(capture(task)).filter(({ topic }) => topic === 'enriched')
  }
  return { spliced: run(true), texts: run(false) }
}

const json = (record: OutputRecord | undefined) => JSON.parse(String(record?.value)) as Record<string, unknown>
const comparable = (records: readonly OutputRecord[]) => records.map(each => ({ ...each, value: json(each) }))

const login = (offset: number, over: object = {}): TestRecord => ({
  offset,
  timestamp: BASE,
  value: JSON.stringify({ user_id: `user-${offset}`, ip: '1.2.3.4', timestamp: BASE, device_type: 'iPad', ...over }),
})

describe('enriched records spliced from the bytes of their events', () => {
  it('are those that are written as texts: keys, values, headers, order', () => {
    const records: TestRecord[] = [
      login(0),
      { ...login(1), headers: { traceparent: '00-1', 'source.offset': 'theirs' } },
      login(2, { user_id: 'é'.repeat(100) }),
      // Of a name that enrichment gives, with an escape in its id, and with a field that is none: the full parser's.
      login(3, { country: 'DE' }),
      login(4, { user_id: 'a"b' }),
      login(5, { locale: 7 }),
      login(1_000_000, { note: { deep: [1, 2, null] } }),
    ]
    const { spliced, texts } = told(records)
    expect(spliced).toHaveLength(records.length)
    expect(comparable(spliced)).toEqual(comparable(texts))
    // Blanks and the spelling of numbers apart, values even are the same texts.
    expect(spliced[0]?.value).toBe(texts[0]?.value)
  })

  it('have hashed user ids, and the name of their key, where user ids are hashed', () => {
    const hash = (id: string) => createHmac('sha256', 'secret').update(id).digest('hex')
    const { spliced, texts } = told([login(0), login(1)], hash, 'k7')
    expect(comparable(spliced)).toEqual(comparable(texts))
    expect(spliced[0]?.key).toBe(hash('user-0'))
    expect(spliced[0]?.headers?.at(-1)).toEqual(['user_id.key', 'k7'])
  })

  it('that would be too long for their topic go without the fields that nobody knows', () => {
    const { spliced, texts } = told([login(0), login(1, { note: 'x'.repeat(MAX_BYTES) }), login(2)])
    expect(comparable(spliced)).toEqual(comparable(texts))
    expect(json(spliced[1])).not.toHaveProperty('note')
    expect(json(spliced[1])).toMatchObject({ user_id: 'user-1', ip: '1.2.3.0', device_type: 'ios' })
  })
})
