import { describe, expect, it } from 'vitest'
import { type DeadLetter, isMeant, type LetterFilter, toDeadLetter } from '../../../src/kafka/deadLetters.ts'
import { RedriveMarks, refusalOf } from '../../../src/kafka/redrive.ts'
import type { RecordHeader } from '../../../src/tasks/recordBatch.ts'

const FAILED_AT = Date.parse('2026-01-31T08:00:00Z')
const OURS: readonly RecordHeader[] = [
  ['error.code', 'not_json'],
  ['error.message', 'no JSON'],
  ['source.topic', 'user-login'],
  ['source.partition', '2'],
  ['source.offset', '41'],
  ['source.timestamp', '1769846395000'],
  ['failed.at', '2026-01-31T08:00:00.000Z'],
]

function read(headers: readonly RecordHeader[], at: { partition?: number; offset?: number } = {}): DeadLetter {
  const bytes = headers.map(([name, value]): RecordHeader => [name, value === null ? null : Buffer.from(value)])
  // Headers are a list; their values are bytes, as from the wire.
  return toDeadLetter({ partition: 2, offset: 7, timestamp: 5, key: null, value: null, ...at, headers: bytes as never })
}

const texts = (headers: readonly RecordHeader[]) => headers.map(([name, value]) => [name, value && String(value)])

describe('a dead letter', () => {
  it('tells the record that it was from why it failed', () => {
    const { failure, originalHeaders } = read([['trace', 'abc'], ...OURS])
    expect(texts(originalHeaders)).toEqual([['trace', 'abc']])
    expect(failure).toEqual({
      code: 'not_json',
      message: 'no JSON',
      sourceTopic: 'user-login',
      sourcePartition: 2,
      sourceOffset: 41,
      sourceTimestamp: 1769846395000,
      failedAt: FAILED_AT,
      wholeBytes: null,
    })
  })

  it("keeps the record's own headers, in their order, also those named as ours or twice", () => {
    const own: RecordHeader[] = [
      ['source.topic', 'theirs'],
      ['error.code', 'theirs'],
      ['2', 'x'],
      ['1', null],
      ['2', 'y'],
      ['redrive.of', '0/1'],
    ]
    const added: RecordHeader = ['mirrored.by', 'somebody']
    const { failure, originalHeaders } = read([...own, ...OURS, ['value.bytes', '77'], added])
    expect(texts(originalHeaders)).toEqual([...own, added])
    expect(failure).toMatchObject({ sourceTopic: 'user-login', code: 'not_json', wholeBytes: 77 })
  })

  it.each([0, 2, 3, 4])('is none without our header %i', index => {
    expect(read(OURS.filter((_, i) => i !== index)).failure).toBeNull()
  })

  it('without a readable time failed when it was written', () => {
    const headers = OURS.map(([name, value]): RecordHeader => [name, name === 'failed.at' ? 'soon' : value])
    expect(read(headers).failure?.failedAt).toBe(5)
  })
})

describe('which letters are meant', () => {
  const all: LetterFilter = { codes: null, from: null, to: null, partitions: null, letters: null }
  const letter = read(OURS)
  it.each<[Partial<LetterFilter>, boolean]>([
    [{}, true],
    [{ codes: new Set(['not_json', 'late']) }, true],
    [{ codes: new Set(['late']) }, false],
    [{ from: FAILED_AT }, true],
    [{ from: FAILED_AT + 1 }, false],
    [{ to: FAILED_AT + 1 }, true],
    [{ to: FAILED_AT }, false],
    [{ partitions: new Set([2]) }, true],
    [{ partitions: new Set([1]) }, false],
    [{ letters: new Map([[2, new Set([7])]]) }, true],
    [{ letters: new Map([[2, new Set([8])]]) }, false],
    [{ letters: new Map([[1, new Set([7])]]) }, false],
    [{ codes: new Set(['not_json']), partitions: new Set([1]) }, false],
  ])('%o: %s', (filter, meant) => {
    expect(isMeant(letter, { ...all, ...filter })).toBe(meant)
  })

  it('a code never means a record that is no letter', () => {
    expect(isMeant(read([]), all)).toBe(true)
    expect(isMeant(read([]), { ...all, codes: new Set(['late']) })).toBe(false)
  })
})

describe('marks', () => {
  const source = { partition: 2, offset: 41, timestamp: 1769846395000 }

  it('tell when a record was redriven last, whichever letter of it is asked for', () => {
    const marks = new RedriveMarks()
    expect(marks.redrivenAt(read(OURS))).toBeNull()
    marks.add(source, 100)
    marks.add(source, 200)
    marks.add({ ...source, offset: 42 }, 300)
    expect(marks.redrivenAt(read(OURS))).toBe(200)
    expect(marks.redrivenAt(read(OURS, { offset: 8 }))).toBe(200)
    expect(marks.redrivenAt(read([]))).toBeNull()
  })

  it.each([{ partition: 1 }, { offset: 40 }, { timestamp: 1769846395001 }])(
    'of another record do not hold: %o',
    other => {
      const marks = new RedriveMarks()
      marks.add({ ...source, ...other }, 100)
      expect(marks.redrivenAt(read(OURS))).toBeNull()
    },
  )
})

describe('a letter goes back', () => {
  const refusal = (headers: readonly RecordHeader[], facts: Partial<Parameters<typeof refusalOf>[2]> = {}) =>
    refusalOf(read(headers), 'user-login', { partitions: 3, maxMessageBytes: 1_000, ...facts })
  const withHeader = (name: string, value: string) =>
    OURS.map((header): RecordHeader => (header[0] === name ? [name, value] : header))

  it('when it holds a whole event that the source topic takes', () => {
    expect(refusal(OURS)).toBeNull()
  })

  it.each<[string, ReturnType<typeof refusal>, string]>([
    ['is foreign', refusal([]), 'not_a_letter'],
    ['holds a partial', refusal(withHeader('error.code', 'partial_too_late')), 'not_an_event'],
    ['holds a damaged batch', refusal(withHeader('error.code', 'corrupt_batch')), 'not_an_event'],
    ['was cut', refusal([...OURS, ['value.bytes', '5']]), 'cut'],
    ['says that it was cut, but not how', refusal([...OURS, ['value.bytes', '?']]), 'cut'],
    ['is of another topic', refusal(withHeader('source.topic', 'x')), 'other_topic'],
    ['is of a partition that is gone', refusal(OURS, { partitions: 2 }), 'no_such_partition'],
    ['is too large', refusal(OURS, { maxMessageBytes: 100 }), 'too_large'],
  ])('not when it %s', (_, is, wanted) => {
    expect(is).toBe(wanted)
  })
})
