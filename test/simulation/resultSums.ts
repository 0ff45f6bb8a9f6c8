import type { Counts, Result } from '../../src/results/result.ts'
import type { Sums } from './truth.ts'

/** What results add up to, by value and field. */
export function addUp(results: readonly Result[]): Sums {
  const sum = (of: (result: Result) => Counts): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const result of results) {
      for (const [value, count] of Object.entries(of(result))) counts[value] = (counts[value] ?? 0) + count
    }
    return counts
  }
  return {
    devices: sum(({ device_stats }) => device_stats),
    locales: sum(({ location_stats }) => location_stats),
    versions: sum(({ app_version_stats }) => app_version_stats),
    categories: sum(({ version_category_stats }) => version_category_stats),
    countries: sum(({ country_stats }) => country_stats),
    regions: sum(({ region_stats }) => region_stats),
    hours: sum(({ hour_stats }) => hour_stats),
    missing: sum(({ quality }) => quality.missing),
    invalid: sum(({ quality }) => quality.invalid),
  }
}

/** Whether every result kept all values of all dimensions: else their sums say nothing of single values. */
export function isWhole(results: readonly Result[]): boolean {
  const { devices, locales, versions, categories, countries } = addUp(results)
  return [devices, locales, versions, categories, countries].every(counts => !('(other)' in counts))
}
