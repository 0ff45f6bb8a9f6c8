import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { dividedDuration, dividedRules } from '../../observability/support/dividedRules.ts'

type Parsed = { groups: { name: string; rules: { expr: string; for?: string }[] }[] }

const FILE = readFileSync(join(process.cwd(), 'charts/tidemark/rules/tidemark.yaml'), 'utf8')

/** The expression of one rule, divided. */
function divided(expr: string, divisor = 60): string | undefined {
  const text = dividedRules(
    JSON.stringify({ groups: [{ name: 'g', rules: [{ alert: 'A', expr, for: '3m' }] }] }),
    divisor,
  )
  return (JSON.parse(text) as Parsed).groups[0]?.rules[0]?.expr
}

describe('a duration', () => {
  it.each([
    ['3m', 60, '3000ms'],
    ['1d', 60, '1440000ms'],
    ['1h30m', 60, '90000ms'],
    ['30s', 60, '500ms'],
    ['250ms', 2, '125ms'],
    ['1w', 7, '86400000ms'],
    ['0s', 60, '0ms'],
  ])('of %s by %i is %s', (text, divisor, wanted) => {
    expect(dividedDuration(text, divisor)).toBe(wanted)
  })

  it.each(['', '5', 'm', '5 m', '1.5m', '5minutes'])('is not "%s"', text => {
    expect(() => dividedDuration(text, 60)).toThrow(`"${text}" is no duration; allowed are whole numbers with ms, s`)
  })

  it('does not become nothing', () => {
    expect(() => dividedDuration('10ms', 60)).toThrow('10ms divided by 60 is less than 1 ms')
  })
})

describe('the times of an expression', () => {
  it.each([
    ['rate(a[5m])', 'rate(a[5000ms])'],
    ['deriv(sum(a)[10m:30s])', 'deriv(sum(a)[10000ms:500ms])'],
    ['max_over_time(sum(a)[10m:])', 'max_over_time(sum(a)[10000ms:])'],
    ['a[ 1h30m ]', 'a[ 90000ms ]'],
    ['a unless a offset 1h', 'a unless a offset 60000ms'],
    ['a offset -5m', 'a offset -5000ms'],
  ])('%s', (expr, wanted) => {
    expect(divided(expr)).toBe(wanted)
  })

  it('are not its numbers, nor what stands in quotes', () => {
    for (const expr of ['a > 60', 'a{size="1d"}', 'a{job=~".*-[5m]"}', "a{b='x [1h] offset 1h'}", 'a{b="\\"[5m]"}']) {
      expect(divided(expr)).toBe(expr)
    }
  })
})

it("the chart's rules keep their order, their thresholds and all that is no time", () => {
  const before = parse(FILE) as Parsed
  const after = JSON.parse(dividedRules(FILE, 60)) as Parsed
  const withoutTimes = ({ groups }: Parsed) =>
    groups.map(group => ({ ...group, rules: group.rules.map(rule => ({ ...rule, expr: '', for: '' })) }))
  expect(withoutTimes(after)).toEqual(withoutTimes(before))
  const withoutRanges = ({ groups }: Parsed) =>
    groups.flatMap(({ rules }) => rules.map(({ expr }) => expr.replace(/\[[\da-z:]+\]|offset \w+/g, 'TIME')))
  expect(withoutRanges(after)).toEqual(withoutRanges(before))
  const times = JSON.stringify(after.groups.map(({ rules }) => rules.map(rule => [rule.expr, rule.for])))
  expect(times.match(/\d+ms/g)?.length).toBeGreaterThan(40)
  expect(times).not.toMatch(/\[\d+[mhd][\]:]|offset \d+[mhd]\b/)
})

it('divided by one they mean the same', () => {
  const [group] = (JSON.parse(dividedRules(FILE, 1)) as Parsed).groups
  expect(group?.rules[0]).toMatchObject({ for: '180000ms', expr: expect.stringContaining('[86400000ms]') })
})
