import type { Kind } from '../config/kinds.ts'
import { TidemarkError } from '../errors.ts'

/**
 * The value of an option that is written like a setting.
 * @param option as a person writes it, `--wait`
 * @throws TidemarkError `usage`, with what is allowed
 */
export function optionValue<T>(option: string, kind: Kind<T>, text: unknown): T {
  const value = kind.parse(String(text))
  if (value === undefined) throw new TidemarkError('usage', `${option} ${text}: ${kind.allowed} is allowed`)
  return value
}
