import { parse } from 'yaml'

type Rule = { readonly expr: string; readonly for?: string; readonly [field: string]: unknown }
type RuleFile = { readonly groups: readonly { readonly rules: readonly Rule[]; readonly [field: string]: unknown }[] }

const UNITS_MS = { y: 31_536_000_000, w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const
const DURATION = '(?:\\d+(?:ms|[ywdhms]))+'
/** What stands in quotes is no duration, whatever it looks like: it is matched first and left as it is. */
const IN_EXPRESSION = new RegExp(
  `"(?:[^"\\\\]|\\\\.)*"|'(?:[^'\\\\]|\\\\.)*'|\\[\\s*${DURATION}\\s*(?::\\s*(?:${DURATION})?\\s*)?\\]|\\boffset\\s+-?${DURATION}`,
  'g',
)

/**
 * The rules of a Prometheus rule file with all their times divided: `for`, ranges, steps of subqueries and offsets. With 60
 * a minute becomes a second, so that one can wait for an alert. Everything else, thresholds too, stays as it is.
 * @returns JSON, which Prometheus reads as the YAML that it is
 * @throws Error when a time would come to less than 1 ms
 */
export function dividedRules(yaml: string, divisor: number): string {
  const { groups } = parse(yaml) as RuleFile
  const divided = groups.map(group => ({ ...group, rules: group.rules.map(rule => dividedRule(rule, divisor)) }))
  return JSON.stringify({ groups: divided }, null, 2)
}

function dividedRule(rule: Rule, divisor: number): Rule {
  const expr = rule.expr.replace(IN_EXPRESSION, found =>
    /^["']/.test(found) ? found : found.replace(new RegExp(DURATION, 'g'), text => dividedDuration(text, divisor)),
  )
  return { ...rule, expr, ...(rule.for === undefined ? {} : { for: dividedDuration(rule.for, divisor) }) }
}

/** A duration of Prometheus, as 1h30m, divided and rounded to whole milliseconds. */
export function dividedDuration(text: string, divisor: number): string {
  if (!new RegExp(`^${DURATION}$`).test(text)) {
    throw new Error(`"${text}" is no duration; allowed are whole numbers with ms, s, m, h, d, w or y, as 1h30m`)
  }
  const parts = [...text.matchAll(/(\d+)(ms|[ywdhms])/g)]
  const wholeMs = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS],
    0,
  )
  const dividedMs = Math.round(wholeMs / divisor)
  if (wholeMs > 0 && dividedMs < 1) throw new Error(`${text} divided by ${divisor} is less than 1 ms`)
  return `${dividedMs}ms`
}
