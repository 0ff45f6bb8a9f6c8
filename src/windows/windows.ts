import { createIsoText } from '../events/isoText.ts'

/**
 * Window arithmetic. A window is named by its index: window i of size s holds event times [i*s, (i+1)*s), epoch
 * milliseconds. Indexes order windows and choose partitions; keys are for people and topics.
 */

/** The index of the window that holds the event time `timeMs`. */
export function windowIndexOf(timeMs: number, sizeMs: number): number {
  return Math.floor(timeMs / sizeMs)
}

/** First millisecond past the window. */
export function windowEndMs(index: number, sizeMs: number): number {
  return (index + 1) * sizeMs
}

/**
 * The greatest window index that takes no more events once the clock stands at `clockMs`: every window with
 * end + lateness <= clock is closed. Negative for a clock near zero, when none is.
 */
export function closedThrough(clockMs: number, sizeMs: number, latenessMs: number): number {
  return Math.floor((clockMs - latenessMs) / sizeMs) - 1
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
]

/** `10000` -> `10s`, `60000` -> `1m`: the greatest unit that gives a whole number. */
export function windowSizeText(sizeMs: number): string {
  for (const [unit, ms] of UNITS) if (sizeMs % ms === 0) return `${sizeMs / ms}${unit}`
  return `${sizeMs}ms`
}

/** The key of a result: `10s/2023-09-12T00:12:30.000Z`. */
export function windowKey(index: number, sizeMs: number): string {
  return `${windowSizeText(sizeMs)}/${isoTime(index * sizeMs)}`
}

/** Epoch milliseconds as ISO 8601 in UTC. A result tells many: the clock of each source, and its window's times. */
export const isoTime: (timeMs: number) => string = createIsoText()
