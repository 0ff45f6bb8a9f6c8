import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../../../src/dev/generator/random.ts'
import type { SupervisedRole } from './supervisedRole.ts'

/** About a third of the stops fall into a transaction where flushes follow each other closely, fewer on a fast machine. */
const CATCH_LIMIT = 200

/**
 * Stops the role, again and again at random moments, until it has a transaction open.
 * @param isOpen whether one of the role's own is; asked while the role is stopped
 * @returns false when the role has ended, or none of the stops fell into a transaction
 */
export async function stopInTransaction(
  role: SupervisedRole,
  isOpen: () => Promise<boolean>,
  random: Random,
): Promise<boolean> {
  for (let i = 0; i < CATCH_LIMIT && role.running; i++) {
    role.pause()
    // Twice: what was on its way to the broker when the process stopped may just have ended it.
    if ((await isOpen()) && (await isOpen())) return true
    role.resume()
    await sleep(50 + random.below(50))
  }
  return false
}
