/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

/** @param values ascending */
export function quantile(values: readonly number[], q: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN
}

/**
 * Runs each of some ways of doing the same, `rounds` times: first to last, then last to first, and so on, so that a machine
 * that becomes slower or faster meanwhile does so for all alike.
 * @returns for each way what came of it, by round
 */
export async function inTurns<Way, Outcome>(
  ways: readonly Way[],
  rounds: number,
  run: (way: Way) => Promise<Outcome>,
): Promise<Outcome[][]> {
  const outcomes = ways.map<Outcome[]>(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = [...ways.keys()]
    if (round % 2 === 1) order.reverse()
    for (const index of order) outcomes[index]?.push(await run(ways[index] as Way))
  }
  return outcomes
}

/** By round, what one way came to of what another did in the same round. */
export function ratios(values: readonly number[], base: readonly number[]): number[] {
  return values.map((value, round) => value / (base[round] ?? Number.NaN))
}

export const listOf = (values: readonly number[], digits = 2): string => values.map(v => v.toFixed(digits)).join(', ')
