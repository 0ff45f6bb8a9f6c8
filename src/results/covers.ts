import type { Result } from './result.ts'

/** Whether a result vouches for a record of the source topic: if it is accepted and of its window, it is counted in it. */
export function covers({ coverage }: Pick<Result, 'coverage'>, partition: number, offset: number): boolean {
  const covered = coverage[partition]
  if (covered === undefined || offset < covered.from || offset >= covered.through) return false
  return !(covered.gaps ?? []).some(([from, to]) => offset >= from && offset < to)
}
