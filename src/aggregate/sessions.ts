/**
 * Sessions of one user: intervals of time from a first login to a last one, as a flat list [first, last, first, last, …] in
 * epoch milliseconds, ascending, each more than the session gap behind the one before. Logins at most the gap apart share
 * one. These are the connected groups of the logins, so that it does not matter in which order logins or groups come.
 */

/** Adds the interval from `first` to `last`, joining it with all that lie at most `gapMs` away from it. */
export function joinInterval(intervals: number[], first: number, last: number, gapMs: number): void {
  const from = firstReaching(intervals, first - gapMs)
  let to = from
  let start = first
  let end = last
  while (to < intervals.length && (intervals[to] as number) <= last + gapMs) {
    start = Math.min(start, intervals[to] as number)
    end = Math.max(end, intervals[to + 1] as number)
    to += 2
  }
  intervals.splice(from, to - from, start, end)
}

/** Index of the first interval whose end is at or past `timeMs`; the list's length when there is none. */
function firstReaching(intervals: readonly number[], timeMs: number): number {
  const { length } = intervals
  // Time goes on: what comes belongs to the end of the list mostly.
  if (length === 0 || (intervals[length - 1] as number) < timeMs) return length
  let low = 0
  let high = length / 2 - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((intervals[2 * middle + 1] as number) < timeMs) low = middle + 1
    else high = middle
  }
  return 2 * low
}
