import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { judgeOutputs, type OutputJudgeOptions } from '../../../src/dev/outputs.ts'
import type { EnrichedRules } from '../../../src/dev/recountEnriched.ts'
import {
  aggregate,
  ENRICHED,
  LETTERS,
  type LogRecord,
  RULES,
  SOURCE,
  sourceWorld,
  type Topics,
} from './outputsWorld.ts'

const ALL_FIELDS: EnrichedRules = { fields: null, timeZone: 'UTC', userIdKey: null }

function judged(topics: Topics, options: Partial<OutputJudgeOptions> = {}) {
  return judgeOutputs({
    reader: topics,
    topics: { source: SOURCE, enriched: ENRICHED, deadLetters: LETTERS },
    rules: RULES,
    enriched: ALL_FIELDS,
    exactlyOnce: true,
    ...options,
  })
}

function cleanWorld(events = 600): Topics {
  const topics = sourceWorld(events)
  aggregate(topics)
  return topics
}

/** The last of a record's headers by that name. */
const headerOf = (record: LogRecord, name: string) =>
  String(record.headers.findLast(header => header[0] === name)?.[1] ?? '')

const sourceOffset = (record: LogRecord) => Number(headerOf(record, 'source.offset'))

const withHeader = (record: LogRecord, name: string, value: string) => {
  const at = record.headers.findLastIndex(header => header[0] === name)
  record.headers = record.headers.with(at, [name, value])
}

/** Changes an enriched record's JSON; undefined takes a field out. */
function rewrite(record: LogRecord, changes: Readonly<Record<string, unknown>>): void {
  const fields = JSON.parse(String(record.value)) as Record<string, unknown>
  record.value = Buffer.from(JSON.stringify({ ...fields, ...changes }))
}

const NOTHING_WRONG = { missing: 0, repeated: 0, wrong: 0, disordered: 0, foreign: 0 }

describe('a clean world has no differences', () => {
  test('with events of all kinds, each where it belongs', async () => {
    const topics = cleanWorld(3_000)
    const verdict = await judged(topics)
    expect(verdict.differences).toEqual([])
    expect(verdict.differenceCount).toBe(0)
    const [enriched, letters] = [topics.all(ENRICHED).length, topics.all(LETTERS).length]
    expect(enriched + letters).toBe(3_000)
    expect(letters).toBeGreaterThan(400)
    expect(verdict.enriched).toEqual({ ...NOTHING_WRONG, expected: enriched, found: enriched })
    const { byCode, ...deadLetters } = verdict.deadLetters
    expect(deadLetters).toEqual({ ...NOTHING_WRONG, expected: letters, found: letters })
    expect(Object.keys(byCode)).toEqual([
      ...['empty_value', 'future_timestamp', 'invalid_timestamp', 'invalid_user_id', 'late', 'missing_timestamp'],
      ...['missing_user_id', 'not_an_object', 'not_json', 'not_utf8', 'too_deep', 'too_large'],
    ])
    expect(Object.values(byCode).reduce((sum, count) => sum + count)).toBe(letters)
  })

  test('in another time zone, with some fields only and under other names', async () => {
    const topics = sourceWorld(600)
    const fields = [
      { field: 'processed_timestamp', as: 'processed_at' },
      { field: 'ip', as: 'address' },
      { field: 'country', as: 'land' },
      { field: 'city', as: 'country' },
      { field: 'hour_of_day', as: 'hour' },
      { field: '__proto__', as: 'prototype' },
    ]
    aggregate(topics, { fields, timeZone: 'Asia/Kolkata' })
    const { differences, enriched } = await judged(topics, {
      enriched: { ...ALL_FIELDS, fields, timeZone: 'Asia/Kolkata' },
    })
    expect(differences).toEqual([])
    expect(enriched.found).toBeGreaterThan(300)
  })

  test('with hashed user ids, which neither key nor value holds', async () => {
    const topics = sourceWorld(300)
    const key = Buffer.from('0123456789abcdef')
    aggregate(topics, { hashUserId: id => createHmac('sha256', key).update(id).digest('hex') }, 'key-7')
    const enriched = { ...ALL_FIELDS, userIdKey: { key, id: 'key-7' } }
    expect((await judged(topics, { enriched })).differences).toEqual([])
    const other = await judged(topics, { enriched: { ...enriched, userIdKey: { key, id: 'key-8' } } })
    expect(other.enriched.wrong).toBe(other.enriched.found)
    const raw = await judged(topics)
    expect(raw.enriched.foreign).toBeGreaterThan(200)
  })

  test('where letters had to be cut, down to their bare reasons, and enriched records to the contract', async () => {
    const topics = sourceWorld(0)
    topics.maxBytes[LETTERS] = 40_000
    topics.maxBytes[ENRICHED] = 12_000
    const filler = 'x'.repeat(3_900)
    const time = { user_id: 'u', timestamp: 1694477555 }
    const append = (value: string, headers: [string, string][] = []) =>
      topics.append(SOURCE, { partition: 0, key: Buffer.from('u'), value: Buffer.from(value), headers, timestamp: 0 })
    append('x'.repeat(50_000))
    append('x'.repeat(10), [['long', 'h'.repeat(60_000)]])
    for (const record of topics.all(SOURCE)) record.timestamp = 1694477555_000
    append(JSON.stringify({ ...time, filler }), [['long', 'h'.repeat(7_000)]])
    append(JSON.stringify({ ...time, filler }), [['shorter', 'h'.repeat(4_000)]])
    for (const record of topics.all(SOURCE)) record.timestamp = 1694477555_000
    aggregate(topics)
    expect(topics.all(LETTERS).map(letter => headerOf(letter, 'value.bytes'))).toEqual(['50000', '10'])
    expect(topics.all(ENRICHED).map(record => headerOf(record, 'long'))).toEqual(['', ''])
    expect((await judged(topics)).differences).toEqual([])

    const [cut] = topics.all(LETTERS) as [LogRecord]
    cut.value = Buffer.concat([cut.value?.subarray(0, -1) as Uint8Array, Buffer.from('y')])
    expect(await judged(topics)).toMatchObject({ deadLetters: { wrong: 1 }, differenceCount: 1 })
  })

  test('where accepted events are only counted', async () => {
    const topics = cleanWorld()
    const verdict = await judged(topics, { enriched: null })
    expect(verdict.enriched).toMatchObject({ expected: 0, found: 0, foreign: topics.all(ENRICHED).length })
    for (const record of topics.all(ENRICHED)) topics.drop(ENRICHED, record)
    expect((await judged(topics, { enriched: null })).differences).toEqual([])
  })
})

describe('a planted fault is found', () => {
  type Fault = { readonly topic: 'enriched' | 'deadLetters'; readonly counts: object; readonly says: RegExp | string }

  const plant = async (change: (topics: Topics) => unknown, { topic, counts, says }: Fault) => {
    const topics = cleanWorld()
    change(topics)
    const verdict = await judged(topics)
    const { expected, found, byCode, ...faults } = { byCode: {}, ...verdict[topic] }
    expect(faults).toEqual({ ...NOTHING_WRONG, ...counts })
    expect(verdict[topic === 'enriched' ? 'deadLetters' : 'enriched']).toMatchObject(NOTHING_WRONG)
    expect(verdict.differenceCount).toBe(Object.values(counts).reduce((sum: number, count) => sum + count, 0))
    expect(verdict.differences[0]).toMatch(says)
    const text = verdict.differences.join('\n')
    for (const { key } of topics.all(SOURCE)) expect(text).not.toContain(String(key))
  }
  const enriched = (topics: Topics) => topics.all(ENRICHED)[7] as LogRecord
  const letter = (topics: Topics, code = 'not_json') =>
    topics.all(LETTERS).find(record => headerOf(record, 'error.code') === code) as LogRecord

  const enrichedFields = (changes: object) => (topics: Topics) => rewrite(enriched(topics), { ...changes })

  test.each<[string, (topics: Topics) => unknown, Fault['says']]>([
    ['field', enrichedFields({ locale: 'XX' }), /: field locale/],
    ['hour', enrichedFields({ hour_of_day: 5 }), /hour_of_day is 5, not 0$/],
    ['type', enrichedFields({ timestamp: '1694477555' }), /: field timestamp is "1694477555", not 16/],
    ['user id', enrichedFields({ user_id: 'someone' }), /: field user_id$/],
    ['unmasked ip', enrichedFields({ ip: '9.9.9.9' }), /: field ip$/],
    ['lost field', enrichedFields({ day_part: undefined }), /day_part is absent, not "night"/],
    ['new field', enrichedFields({ extra: 1 }), /: field extra$/],
    ['lack of a country', enrichedFields({ country: null }), /: field country$/],
    ['moment', enrichedFields({ processed_timestamp: 'now' }), /processed_timestamp is "now/],
    ['key', topics => Object.assign(enriched(topics), { key: Buffer.from('someone') }), /: key$/],
    ['value', topics => Object.assign(enriched(topics), { value: null }), /, value$/],
    ['header', topics => enriched(topics).headers.unshift(['added', '1']), /: headers$/],
  ])('an enriched record with a wrong %s', async (_, change, says) => {
    await plant(change, { topic: 'enriched', counts: { wrong: 1 }, says })
  })

  test.each<[string, (topics: Topics) => unknown, Fault['says']]>([
    ['code', topics => withHeader(letter(topics), 'error.code', 'not_utf8'), /error.code is not_utf8, not not_json$/],
    ['key', topics => Object.assign(letter(topics), { key: null }), /: key$/],
    ['value', topics => Object.assign(letter(topics), { value: Buffer.from('{') }), /: value$/],
    ['null value', topics => Object.assign(letter(topics), { value: null }), /: value$/],
    ['header', topics => letter(topics).headers.unshift(['added', '1']), /: headers$/],
    ['timestamp', topics => withHeader(letter(topics), 'source.timestamp', '1'), /source.timestamp is 1, not 16/],
    ['moment', topics => withHeader(letter(topics), 'failed.at', 'now'), /failed.at is now/],
    ['length', topics => letter(topics).headers.push(['value.bytes', '5']), /value.bytes/],
  ])('a dead letter with a wrong %s', async (_, change, says) => {
    await plant(change, { topic: 'deadLetters', counts: { wrong: 1 }, says })
  })

  test('a message that is not always the same', async () => {
    const change = (topics: Topics) => {
      const letters = topics.all(LETTERS).filter(record => headerOf(record, 'error.code') === 'not_json')
      withHeader(letters.at(-1) as LogRecord, 'error.message', 'not JSON: {"user')
    }
    await plant(change, { topic: 'deadLetters', counts: { wrong: 1 }, says: /error.message/ })
  })

  test.each([
    [ENRICHED, 'enriched', /partition is \d, not \d$/],
    [LETTERS, 'deadLetters', /partition is \d, not \d$/],
  ] as const)('a record of %s in a wrong partition', async (topic, name, says) => {
    const change = (topics: Topics) => {
      // The last of its source partition, so that it is the partition alone that is wrong.
      const ofFirst = topics.all(topic).filter(record => headerOf(record, 'source.partition') === '0')
      const last = ofFirst.reduce((a, b) => (sourceOffset(a) > sourceOffset(b) ? a : b))
      topics.drop(topic, last)
      topics.append(topic, { ...last, partition: last.partition === 0 ? 1 : 0 })
    }
    await plant(change, { topic: name, counts: { wrong: 1 }, says })
  })

  test.each([
    [ENRICHED, 'enriched', /nothing of \d\/\d+$/],
    [LETTERS, 'deadLetters', /none of \d\/\d+, which is/],
  ] as const)('a record missing in %s', async (topic, name, says) => {
    const change = (topics: Topics) => topics.drop(topic, topics.all(topic)[3] as LogRecord)
    await plant(change, { topic: name, counts: { missing: 1 }, says })
  })

  test.each([
    [ENRICHED, 'enriched'],
    [LETTERS, 'deadLetters'],
  ] as const)('a record that is in %s twice', async (topic, name) => {
    const change = (topics: Topics) => topics.append(topic, topics.all(topic)[3] as LogRecord)
    await plant(change, { topic: name, counts: { repeated: 1 }, says: /is there already$/ })
  })

  test.each([
    [ENRICHED, 'enriched'],
    [LETTERS, 'deadLetters'],
  ] as const)('records of %s in a wrong order', async (topic, name) => {
    const change = (topics: Topics) => {
      const log = topics.log(topic)[0] as LogRecord[]
      const [first] = log as [LogRecord]
      const at = log.findIndex(
        record => record !== first && headerOf(record, 'source.partition') === headerOf(first, 'source.partition'),
      )
      log.splice(at + 1, 0, first)
      log.shift()
    }
    await plant(change, { topic: name, counts: { disordered: 1 }, says: /comes after offset/ })
  })

  test.each<[string, (record: LogRecord) => unknown, RegExp]>([
    ['another topic', record => withHeader(record, 'source.topic', 'elsewhere'), /names no record of user-login/],
    ['no record', record => withHeader(record, 'source.offset', '999999'), /0\/999999 does not exist/],
    ['nothing', record => Object.assign(record, { headers: [] }), /names no record/],
    ['no offset', record => withHeader(record, 'source.offset', '-1'), /names no record/],
  ])('a foreign record: of %s', async (_, change, says) => {
    const add = (topic: string) => (topics: Topics) => {
      const record = { ...(topics.log(topic)[0]?.at(-1) as LogRecord) }
      withHeader(record, 'source.partition', '0')
      change(record)
      topics.append(topic, record)
    }
    await plant(add(ENRICHED), { topic: 'enriched', counts: { foreign: 1 }, says })
    await plant(add(LETTERS), { topic: 'deadLetters', counts: { foreign: 1 }, says })
  })

  test('a dead letter of an accepted event, and an enriched record of a rejected one', async () => {
    const change = (topics: Topics) => {
      const record = enriched(topics)
      const added = { ...letter(topics) }
      for (const name of ['source.partition', 'source.offset']) withHeader(added, name, headerOf(record, name))
      topics.append(LETTERS, added)
    }
    await plant(change, { topic: 'deadLetters', counts: { foreign: 1 }, says: /is accepted$/ })
    const other = (topics: Topics) => {
      const added = { ...enriched(topics) }
      for (const name of ['source.partition', 'source.offset']) withHeader(added, name, headerOf(letter(topics), name))
      topics.append(ENRICHED, added)
    }
    await plant(other, { topic: 'enriched', counts: { foreign: 1 }, says: /is not_json$/ })
  })

  test('many at once: all are counted, and as many told as fit on a screen', async () => {
    const topics = cleanWorld()
    for (const record of topics.all(ENRICHED)) rewrite(record, { locale: 'XX' })
    const verdict = await judged(topics)
    expect(verdict.enriched).toMatchObject({ wrong: topics.all(ENRICHED).length, missing: 0 })
    expect(verdict.differenceCount).toBe(topics.all(ENRICHED).length)
    expect(verdict.differences.length).toBe(20)
  })
})

describe('where delivery is at least once', () => {
  /** An owner was lost after it had written the second half, and the next one wrote that again. */
  function repeatedWorld(): { topics: Topics; repeats: Record<'enriched' | 'deadLetters', number> } {
    const topics = cleanWorld()
    const again = (topic: string) => {
      const half = topics.log(topic).flatMap(log => log.slice(log.length >> 1))
      for (const record of half) topics.append(topic, record)
      return half.length
    }
    return { topics, repeats: { enriched: again(ENRICHED), deadLetters: again(LETTERS) } }
  }

  test('repeats are counted and are no differences; with exactly once they are', async () => {
    const { topics, repeats } = repeatedWorld()
    const verdict = await judged(topics, { exactlyOnce: false })
    expect(verdict.differences).toEqual([])
    expect(verdict.enriched.repeated).toBe(repeats.enriched)
    expect(verdict.deadLetters.repeated).toBe(repeats.deadLetters)
    const strict = await judged(topics)
    expect(strict.differenceCount).toBe(repeats.enriched + repeats.deadLetters)
  })

  test('a repeat may tell another moment, but nothing else', async () => {
    const { topics } = repeatedWorld()
    const at = topics.all(ENRICHED).findLast(record => !String(record.value).includes('"ip":"unknown"')) as LogRecord
    rewrite(at, { processed_timestamp: '2030-01-01T00:00:00.000Z' })
    for (const record of topics.all(LETTERS)) withHeader(record, 'failed.at', '2030-01-01T00:00:00.000Z')
    expect((await judged(topics, { exactlyOnce: false })).differences).toEqual([])
    rewrite(at, { country: 'DE' })
    expect(await judged(topics, { exactlyOnce: false })).toMatchObject({ enriched: { wrong: 1 }, differenceCount: 1 })
  })

  test('disorder before any repeat is a difference all the same', async () => {
    const topics = cleanWorld()
    topics.log(ENRICHED)[0]?.reverse()
    const verdict = await judged(topics, { exactlyOnce: false })
    expect(verdict.enriched.disordered).toBeGreaterThan(10)
    expect(verdict.differenceCount).toBe(verdict.enriched.disordered)
  })
})
