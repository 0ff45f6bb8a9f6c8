import type { Audited, Missing } from './audit.ts'
import { type Difference, differenceText } from './compare.ts'

export type Verdict = 'equal' | 'different' | 'unreachable'

/** Lines of differences that are shown of one window; JSON has them all. */
const LINES_SHOWN = 50

export function verdictOf({ differences, missing }: Audited): Verdict {
  if (missing.length > 0) return 'unreachable'
  return differences.length > 0 ? 'different' : 'equal'
}

/** One window for people, with what is wrong below it. */
export function auditText(audited: Audited): string {
  const { key, result, differences, missing, deviceStats } = audited
  const { status, revision, batch_size: events } = result
  const verdict = verdictOf(audited)
  const also = deviceStats ? ', device stats too' : ''
  const head = `${verdict.padEnd(11)}  ${key}  ${status}, revision ${revision}, ${events} events${also}`
  const more = differences.length - LINES_SHOWN
  const lines = [
    ...missing.map(missingText),
    ...differences.slice(0, LINES_SHOWN).map(differenceText),
    ...(more > 0 ? [`${more} more differences (--json shows all)`] : []),
    ...gapsOf(audited).map(({ partition, gaps }) => {
      const ranges = gaps.map(([from, to]) => `${from} to ${to - 1}`).join(', ')
      return `the result itself does not vouch for offsets ${ranges} of partition ${partition}`
    }),
  ]
  return `${[head, ...lines.map(line => `             ${line}`)].join('\n')}\n`
}

/** One window as a line of JSON. */
export function auditJson(audited: Audited): string {
  const { key, result, differences, missing, deviceStats } = audited
  const { status, revision, generation, exact } = result
  return JSON.stringify({
    key,
    verdict: verdictOf(audited),
    generation,
    status,
    revision,
    exact,
    device_stats: deviceStats,
    differences: differences.map(jsonOf),
    missing,
    gaps: gapsOf(audited),
  })
}

/** JSON leaves out what is undefined: null says that one side has nothing. */
const jsonOf = ({ field, stored, recounted }: Difference) => ({
  field,
  stored: stored ?? null,
  recounted: recounted ?? null,
})

function missingText({ partition, from, through, start, end }: Missing): string {
  const holds = start === end ? 'holds nothing' : `holds ${start} to ${end - 1}`
  return `it covers offsets ${from} to ${through - 1} of partition ${partition}, whose log ${holds}`
}

function gapsOf({ result }: Audited): { partition: number; gaps: readonly (readonly [number, number])[] }[] {
  return Object.entries(result.coverage).flatMap(([p, { gaps }]) => {
    return gaps === undefined ? [] : [{ partition: Number(p), gaps }]
  })
}
