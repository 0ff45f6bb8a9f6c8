import { setTimeout as sleep } from 'node:timers/promises'

const LIMIT_MS = 75_000
const STEP_MS = 250

/**
 * Whatever `look` finds, as soon as it finds it.
 * @throws Error naming what was waited for, after the limit; what `look` throws
 */
export async function until<T>(what: string, look: () => Promise<T | undefined>, limitMs = LIMIT_MS): Promise<T> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`)
    await sleep(STEP_MS)
  }
}
