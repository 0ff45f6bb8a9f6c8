import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../errors.ts'

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000

/**
 * Runs again and again, more and more slowly, while the database is away.
 * @param signal ends the waiting
 * @throws what else `run` throws, and the signal's reason
 */
export async function persistently<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'unreachable') throw error
    }
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal })
  }
}
