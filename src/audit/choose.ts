import { TidemarkError } from '../errors.ts'
import { chooseSome } from './chance.ts'
import type { AuditOptions } from './options.ts'
import type { Entry } from './stored.ts'

/** The keys to audit, and what a person should know of how they were chosen; null for nothing. */
export type Chosen = { readonly keys: readonly string[]; readonly note: string | null }

/**
 * Chooses among what is stored.
 * @throws TidemarkError `usage` when a window is not there or is provisional, saying what there is; `refused_replay_lost`
 * when chance could choose only among windows that the log no longer holds
 */
export function chooseWindows(entries: readonly Entry[], { choice, provisional }: AuditOptions): Chosen {
  if (choice.kind === 'windows') return { keys: namedWindows(entries, choice.keys, provisional), note: null }
  const { sizes } = choice
  const fitting = entries
    .filter(({ size, status }) => (sizes === null || sizes.has(size)) && (provisional || status !== 'provisional'))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  if (fitting.length === 0) {
    const which = `${provisional ? '' : 'final '}window${sizes === null ? '' : ` of ${[...sizes].join(', ')}`}`
    throw new TidemarkError('usage', `there is no ${which} to audit: ${whatThereIs(entries)}`)
  }
  if (choice.kind === 'all') return { keys: fitting.map(({ key }) => key), note: null }
  const within = fitting.filter(entry => entry.within)
  if (within.length === 0) {
    const message = `the log no longer holds what any of ${fitting.length} windows was counted from`
    throw new TidemarkError('refused_replay_lost', message)
  }
  const keys = chooseSome(within, choice.count, choice.seed).map(({ key }) => key)
  const beyond = fitting.length - within.length
  const left = beyond === 0 ? '' : `; ${beyond} more are beyond the beginning of the log`
  return { keys, note: `${keys.length} of ${within.length} windows by chance, --seed ${choice.seed}${left}` }
}

function namedWindows(entries: readonly Entry[], keys: readonly string[], provisional: boolean): readonly string[] {
  for (const key of keys) {
    const entry = entries.find(each => each.key === key)
    if (entry === undefined) throw new TidemarkError('usage', `there is no ${key}: ${whatThereIs(entries)}`)
    if (entry.status === 'provisional' && !provisional) {
      const why =
        'events for it may still come, and longer windows lag behind their shorter ones; --provisional audits it'
      throw new TidemarkError('usage', `${key} is provisional: ${why}`)
    }
  }
  return keys
}

/** `10s: 120 windows from ... to ... (118 final)`, a size after the other. */
function whatThereIs(entries: readonly Entry[]): string {
  if (entries.length === 0) return 'no results are stored'
  const bySize = [...Map.groupBy(entries, ({ size }) => size)]
  const texts = bySize.map(([size, found]) => {
    const keys = found.map(({ key }) => key.slice(size.length + 1)).sort()
    const final = found.filter(({ status }) => status !== 'provisional').length
    return `${size}: ${found.length} from ${keys[0]} to ${keys.at(-1)}, ${final} of them final`
  })
  return `stored are ${texts.join('; ')}`
}
