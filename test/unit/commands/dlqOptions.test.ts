import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { type DlqOptions, defineDlq, parseDlqOptions } from '../../../src/commands/dlq/options.ts'

function parse(...words: string[]): DlqOptions {
  const command = new Command('dlq').exitOverride().configureOutput({ writeErr: () => {} })
  defineDlq(command)
  command.parse(words, { from: 'user' })
  return parseDlqOptions(command.opts(), command.args)
}

describe('the command line of dlq', () => {
  it('means every letter, masked, in text, unless more is said', () => {
    expect(parse('list')).toEqual({
      action: 'list',
      filter: { codes: null, from: null, to: null, partitions: null, letters: null },
      limit: null,
      json: false,
      by: 'code',
      reveal: false,
      rate: 100,
      dryRun: false,
      force: false,
    })
  })

  it('reads every filter', () => {
    const { filter, limit } = parse(
      ...['show', '--code', 'late, not_json', '--from', '2026-01-31T08:00:00', '--to', '2026-01-31T10:00:00+01:00'],
      ...['--partition', '0,11', '--letter', '3/1042,3/7', '--letter', '0/0', '--limit', '5'],
    )
    expect(filter).toEqual({
      codes: new Set(['late', 'not_json']),
      // Without a zone: UTC, wherever the command runs.
      from: Date.parse('2026-01-31T08:00:00Z'),
      to: Date.parse('2026-01-31T09:00:00Z'),
      partitions: new Set([0, 11]),
      letters: new Map([
        [3, new Set([1042, 7])],
        [0, new Set([0])],
      ]),
    })
    expect(limit).toBe(5)
  })

  it('reads what goes with one action only', () => {
    expect(parse('count', '--by', 'partition', '--json')).toMatchObject({ by: 'partition', json: true })
    expect(parse('show', '--reveal')).toMatchObject({ reveal: true })
    expect(parse('redrive', '--all', '--rate', '0', '--dry-run', '--force')).toMatchObject({
      rate: 0,
      dryRun: true,
      force: true,
    })
  })

  it.each([
    [['replay'], 'dlq replay: list, show, count, redrive are allowed'],
    [['list', '--code', 'to_large'], '--code to_large: did you mean too_large? allowed are empty_value, too_large, '],
    [['list', '--code', ''], '--code : '],
    [['list', '--from', 'yesterday'], '--from yesterday: an ISO 8601 time'],
    [['list', '--from', '1769846400'], '--from 1769846400: an ISO 8601 time'],
    [['list', '--to', '2026-02-30'], '--to 2026-02-30: an ISO 8601 time'],
    [['list', '--from', '2026-01-02', '--to', '2026-01-02'], '--to 2026-01-02: a time after --from 2026-01-02'],
    [['list', '--partition', '-1'], '--partition -1: numbers from 0'],
    [['list', '--letter', '1042'], '--letter 1042: <partition>/<offset>, as 3/1042, is allowed'],
    [['list', '--letter', '0/9007199254740993'], '--letter 0/9007199254740993: '],
    [['list', '--limit', '0'], '--limit 0: a whole number from 1'],
    [['count', '--by', 'day'], "--by day: 'code' and 'partition' are allowed"],
    [['list', '--rate', '5'], "--rate: it goes with 'dlq redrive' only"],
    [['list', '--dry-run'], "--dry-run: it goes with 'dlq redrive' only"],
    [['redrive', '--reveal', '--all'], "--reveal: it goes with 'dlq show' only"],
    [['redrive', '--all', '--rate', '1.5'], '--rate 1.5: a whole number from 0'],
    [['redrive'], 'dlq redrive: it needs --code, --from, --to, --partition, --letter or --all'],
    [['redrive', '--limit', '10'], 'dlq redrive: it needs'],
    [['redrive', '--all', '--code', 'late'], '--all: it does not go with --code'],
  ])('refuses %j', (words, message) => {
    expect(() => parse(...words)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
    )
  })
})
