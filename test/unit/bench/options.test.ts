import { expect, it } from 'vitest'
import { SECTIONS, USUAL_SECTIONS } from '../../../bench/figure.ts'
import { parseOptions } from '../../../bench/options.ts'

it('runs the usual parts by default, parts by name, or all', () => {
  expect(parseOptions([]).sections).toEqual(USUAL_SECTIONS)
  expect(parseOptions(['--only', 'start', '--only', 'throughput']).sections).toEqual(['throughput', 'start'])
  expect(parseOptions(['--all']).sections).toEqual(SECTIONS)
})

it('a look takes fewer events than a claim, and either what is asked for', () => {
  expect(parseOptions([]).events).toBe(6_000_000)
  expect(parseOptions(['--quick']).events).toBe(500_000)
  expect(parseOptions(['--quick', '--events', '7']).events).toBe(7)
})

it('settings keep all behind the first equals sign', () => {
  expect(parseOptions(['--set', 'CONSUMER_GROUP=a=b']).settings).toEqual({ CONSUMER_GROUP: 'a=b' })
})

it.each([
  [['--only', 'speed'], '--only is speed; allowed are throughput, peers'],
  [['--events', '0'], '--events is 0; allowed is a whole number from 1'],
  [['--events', 'many'], '--events is many; allowed is'],
  [['--set', 'COLOUR=red'], '--set is COLOUR=red; allowed is NAME=value with the name of a setting'],
  [['--set', 'WINDOW_SIZE'], '--set is WINDOW_SIZE; allowed is'],
  [['--write', '--quick'], '--write is for claims'],
  [['--fast'], "Unknown option '--fast'"],
])('%j is refused: %s', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message)
})
