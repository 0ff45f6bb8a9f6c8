import type { Log } from '../telemetry/log.ts'
import { HTTP, type Kind } from './api.ts'

type Refusal = { readonly status: number; readonly reason: string }

/**
 * Tells of what the cluster refuses or does not answer: once, and once more when it works again, however often it is
 * tried. A missing permission is named as RBAC names it, as `patch pods`.
 */
export class Troubles {
  readonly #log: Pick<Log, 'write'>
  readonly #standing = new Set<string>()

  constructor(log: Pick<Log, 'write'>) {
    this.#log = log
  }

  refused(verb: 'get' | 'create' | 'update' | 'patch', kind: Kind, { status, reason }: Refusal): void {
    const what = `${verb} ${kind.plural}`
    if (this.#standing.has(what)) return
    this.#standing.add(what)
    if (status === HTTP.forbidden) {
      const permission = { apiGroup: kind.group, resource: kind.plural, verb }
      this.#log.write('warn', 'kubernetes_forbidden', { permission, reason })
    } else this.#log.write('warn', 'kubernetes_failed', { what, status, reason })
  }

  worked(verb: 'get' | 'create' | 'update' | 'patch', kind: Kind): void {
    const what = `${verb} ${kind.plural}`
    if (this.#standing.delete(what)) this.#log.write('info', 'kubernetes_works', { what })
  }
}
