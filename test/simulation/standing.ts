import { compareStanding, type Result } from '../../src/results/result.ts'
import { check } from './failure.ts'

const RANK = { provisional: 0, final: 1, corrected: 2 } as const

/** What the last results of one level's windows say, and whether later ones may say otherwise. */
export class Standing {
  readonly last = new Map<number, Result>()
  readonly #signatures = new Map<string, string>()

  /** @param vague the window may be told again for a gap that does not touch it after all */
  tell(what: string, window: number, result: Result, vague: boolean): void {
    const before = this.last.get(window)
    if (before !== undefined) {
      const grows = result.revision >= before.revision && RANK[result.status] >= RANK[before.status]
      check('revision-grows', grows, () => `${what} after ${before.status} ${before.revision}`)
      const news = result.revision > before.revision || vague
      check('corrected-is-news', news || result.status !== 'corrected', () => `${what} says nothing new`)
      check('revision-grows', compareStanding(result, before) >= 0, () => `${what} does not replace ${before.status}`)
    }
    this.last.set(window, result)
    this.#checkOnlyTruth(what, window, result)
  }

  /** Equal revisions tell equal counts, whatever the status: what is handed up is known by its revision alone. */
  #checkOnlyTruth(what: string, window: number, result: Result): void {
    const key = `${window} ${result.generation} ${result.revision}`
    const { device_stats, location_stats, app_version_stats, hour_stats, quality, users, sessions } = result
    const counts = [result.batch_size, device_stats, location_stats, app_version_stats, hour_stats, quality]
    const signature = JSON.stringify([...counts, users, sessions])
    const known = this.#signatures.get(key)
    check('no-two-truths', known === undefined || known === signature, () => `${what}: ${known} and ${signature}`)
    this.#signatures.set(key, signature)
  }
}
