import { describe, expect, test } from 'vitest'
import { chooseWindows } from '../../../src/audit/choose.ts'
import { type AuditOptions, parseAuditOptions } from '../../../src/audit/options.ts'
import type { Entry } from '../../../src/audit/stored.ts'

const KINDS = {
  windowSizeMs: 10_000,
  rollupsMs: [60_000, 3_600_000],
  slidingWindows: [{ sizeMs: 300_000, hopMs: 60_000 }],
}
const parse = (options: Record<string, unknown>) => parseAuditOptions(options, KINDS, 7)

describe('the command line', () => {
  test('names windows, with or without milliseconds', () => {
    const window = ['10s/2026-01-31T08:00:10Z', '5m/2026-01-31T08:01:00.000Z', '10s/2026-01-31T08:00:10.000Z']
    expect(parse({ window, from: 'sql', json: true, provisional: true })).toEqual({
      choice: { kind: 'windows', keys: ['10s/2026-01-31T08:00:10.000Z', '5m/2026-01-31T08:01:00.000Z'] },
      from: 'sql',
      json: true,
      provisional: true,
    })
  })

  test('leaves the choice to chance, whose seed is made or given', () => {
    const random = { kind: 'random', count: 20, seed: 7, sizes: null }
    expect(parse({ random: '20' })).toEqual({ choice: random, from: 'topic', json: false, provisional: false })
    expect(parse({ random: '20', seed: '0', size: '1m, 10s' }).choice).toEqual({
      ...random,
      seed: 0,
      sizes: new Set(['1m', '10s']),
    })
    expect(parse({ all: true, size: '1h' }).choice).toEqual({ kind: 'all', sizes: new Set(['1h']) })
  })

  test.each<[Record<string, unknown>, string]>([
    [{}, 'one of --window <key>, --random <n> and --all is needed'],
    [{ all: true, random: '3' }, 'one of --window <key>, --random <n> and --all is needed'],
    [{ window: ['1d/2026-01-31T00:00:00Z'] }, 'with a size of 10s, 1m, 1h, 5m: as 10s/1970-01-01T00:00:00.000Z'],
    [{ window: ['10s'] }, 'a start as 1970-01-01T00:00:00.000Z is allowed'],
    [{ window: ['10s/yesterday'] }, 'a start as 1970-01-01T00:00:00.000Z is allowed'],
    [{ window: ['10s/2026-01-31T08:00:15Z'] }, 'the one before is 10s/2026-01-31T08:00:10.000Z'],
    [{ window: ['10s/2026-01-31T08:00:10Z'], size: '10s' }, '--size 10s: it goes with --random and --all only'],
    [{ all: true, size: '2m' }, '--size 2m: allowed are 10s, 1m, 1h, 5m'],
    [{ all: true, seed: '1' }, '--seed 1: it goes with --random only'],
    [{ random: '0' }, '--random 0: a whole number from 1 to 1000000 is allowed'],
    [{ random: '5', seed: '-1' }, '--seed -1: a whole number from 0 to 4294967296 is allowed'],
    [{ all: true, from: 'disk' }, "--from disk: 'topic' and 'sql' are allowed"],
  ])('is refused where it means nothing: %j', (options, message) => {
    expect(() => parse(options)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
    )
  })
})

const entry = (size: string, minute: number, status: Entry['status'] = 'final', within = true): Entry => {
  return { key: `${size}/${new Date(minute * 60_000).toISOString()}`, size, status, within }
}
const MINUTES = Array.from({ length: 40 }, (_, i) => entry('1m', i, i < 30 ? 'final' : 'provisional', i >= 10))
const ENTRIES = [...MINUTES, entry('1h', 0, 'corrected')]

const choose = (choice: AuditOptions['choice'], provisional = false) =>
  chooseWindows(ENTRIES, { choice, from: 'topic', json: false, provisional })

describe('the choice', () => {
  const random = { kind: 'random', count: 5, seed: 42, sizes: null } as const

  test('by chance falls on final windows that the log still holds, each once, the same for the same seed', () => {
    const all = choose({ ...random, count: 1_000 })
    expect(all.note).toBe('21 of 21 windows by chance, --seed 42; 10 more are beyond the beginning of the log')
    expect(new Set(all.keys)).toEqual(new Set([...MINUTES.slice(10, 30), entry('1h', 0)].map(({ key }) => key)))
    const [some, again, others] = [choose(random), choose(random), choose({ ...random, seed: 43 })]
    expect(some.keys).toHaveLength(5)
    expect(again).toEqual(some)
    expect(others.keys).not.toEqual(some.keys)
  })

  test('keeps to the sizes asked for', () => {
    expect(choose({ ...random, sizes: new Set(['1h']) }).keys).toEqual([entry('1h', 0).key])
    expect(choose({ kind: 'all', sizes: new Set(['1m']) }).keys).toHaveLength(30)
    expect(choose({ kind: 'all', sizes: null }, true).keys).toHaveLength(41)
  })

  test('of a window that is not there, or is provisional, is refused with what there is', () => {
    const named = (key: string, provisional = false) => choose({ kind: 'windows', keys: [key] }, provisional).keys
    expect(named(entry('1m', 3).key)).toEqual([entry('1m', 3).key])
    expect(() => named(entry('1m', 99).key)).toThrow(
      '1m: 40 from 1970-01-01T00:00:00.000Z to 1970-01-01T00:39:00.000Z, 30 of them final; 1h: 1 from',
    )
    expect(() => named(entry('1m', 35).key)).toThrow('is provisional')
    expect(named(entry('1m', 35).key, true)).toEqual([entry('1m', 35).key])
    expect(() => choose({ kind: 'all', sizes: new Set(['10s']) })).toThrow('there is no final window of 10s')
    expect(() => chooseWindows([], { ...base, choice: random })).toThrow('no results are stored')
  })

  test('by chance among windows that are all beyond the log is refused', () => {
    const old = MINUTES.slice(0, 10)
    expect(() => chooseWindows(old, { ...base, choice: random })).toThrow(
      expect.objectContaining({ code: 'refused_replay_lost' }),
    )
  })
})

const base = { from: 'topic', json: false, provisional: false } as const
