import { UNKNOWN } from './fields.ts'

/** The first number of at most 16 digits that no digit touches, and the number after its point: npm semver's `coerce`. */
const VERSION = /(?:^|\D)(\d{1,16})(?:\.(\d{1,16}))?(?:\.\d{1,16})?(?:$|\D)/
const CACHE_LIMIT = 4096
const cache = new Map<string, string>()

/**
 * `major.minor` of an app version, `unknown` when there is no version number in it or one beyond 2^53 - 1. As semver's
 * `coerce` does it, except that leading zeros are dropped (`2023.08.1` is `2023.8`) where coerce refuses the version.
 */
export function versionCategory(version: string): string {
  let category = cache.get(version)
  if (category === undefined) {
    category = coerce(version)
    if (cache.size >= CACHE_LIMIT) cache.clear()
    cache.set(version, category)
  }
  return category
}

function coerce(version: string): string {
  const match = VERSION.exec(version)
  if (match === null) return UNKNOWN
  const major = Number(match[1])
  const minor = Number(match[2] ?? 0)
  if (!Number.isSafeInteger(major) || !Number.isSafeInteger(minor)) return UNKNOWN
  return `${major}.${minor}`
}
