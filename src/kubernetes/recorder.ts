import { createHash } from 'node:crypto'
import { type Log, type SampledLog, sampled } from '../telemetry/log.ts'
import { type Answer, type ApiObject, HTTP, KINDS, type KubernetesApi } from './api.ts'
import { microTime } from './elector.ts'
import { type Entry, EventBook } from './eventBook.ts'
import type { Report } from './reports.ts'
import type { Troubles } from './troubles.ts'

export type RecorderOptions = {
  readonly namespace: string
  /** The Deployment on which Events are recorded. */
  readonly workload: string
  readonly podName: string
  readonly role: string
  readonly log: Pick<Log, 'write'>
  readonly troubles: Troubles
  readonly now: () => number
}

const MAX_NOTE_BYTES = 1_024
const FAULT_INTERVAL_MS = 60_000

/**
 * Records Events on the workload. An Event's name follows from what it says, so that all pods of a workload, and a pod
 * that is started again and again, count in one.
 */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #book = new EventBook()
  readonly #faults: SampledLog
  #regarding: ApiObject | null = null
  #writing: Promise<void> = Promise.resolve()

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#faults = sampled(options.log, FAULT_INTERVAL_MS)
  }

  add(report: Report): void {
    this.#book.add(report, this.#options.now())
  }

  /** Whether something waits that was never told. */
  get hasNew(): boolean {
    return this.#book.hasNew
  }

  /** Writes what may be written now. Resolves when that is done, and never rejects. */
  write(api: KubernetesApi): Promise<void> {
    this.#writing = this.#writing
      .then(() => this.#writeAll(api))
      .catch(error => this.#faults.write('error', 'kubernetes_fault', { err: error }))
    return this.#writing
  }

  async #writeAll(api: KubernetesApi): Promise<void> {
    const { log, now } = this.#options
    for (const entry of this.#book.take(now())) {
      if (!(await this.#writeOne(api, entry))) this.#book.failed(entry)
    }
    const dropped = this.#book.takeDropped()
    if (dropped > 0) log.write('warn', 'kubernetes_events_dropped', { dropped })
  }

  async #writeOne(api: KubernetesApi, entry: Entry): Promise<boolean> {
    const event = await this.#event(api, entry)
    const created = await api.create(KINDS.events, event)
    if (created.ok || created.status !== HTTP.conflict) return this.#done('create', created)
    const name = this.#nameOf(entry.report)
    // An empty patch changes nothing and answers with what is there: reading would need one permission more.
    const present = await api.patch(KINDS.events, name, {})
    if (!present.ok) return this.#done('patch', present)
    const { series } = present.object as { series?: { count?: number } }
    const count = (series?.count ?? 1) + entry.count
    return this.#done('patch', await api.patch(KINDS.events, name, { series: seriesOf(count, this.#wallOf(entry)) }))
  }

  #done(verb: 'create' | 'patch', answer: Answer): boolean {
    const { troubles } = this.#options
    if (answer.ok) troubles.worked(verb, KINDS.events)
    else troubles.refused(verb, KINDS.events, answer)
    return answer.ok
  }

  async #event(api: KubernetesApi, entry: Entry): Promise<ApiObject> {
    const { namespace, podName, role } = this.#options
    const { type, reason, action, note } = entry.report
    const at = this.#wallOf(entry)
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: this.#nameOf(entry.report), namespace },
      eventTime: microTime(at),
      type,
      reason,
      action,
      note: shortened(note),
      regarding: await this.#workload(api),
      reportingController: `tidemark.dev/${role}`,
      reportingInstance: podName.slice(0, 128),
      ...(entry.count > 1 ? { series: seriesOf(entry.count, at) } : {}),
    }
  }

  /** The Deployment as Events name it. By its uid `kubectl describe` finds them; without it they are listed at least. */
  async #workload(api: KubernetesApi): Promise<ApiObject> {
    if (this.#regarding !== null) return this.#regarding
    const { namespace, workload: name, troubles } = this.#options
    const regarding = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name }
    const answer = await api.get(KINDS.deployments, name)
    if (!answer.ok) {
      troubles.refused('get', KINDS.deployments, answer)
      return regarding
    }
    troubles.worked('get', KINDS.deployments)
    this.#regarding = { ...regarding, uid: (answer.object.metadata as { uid: string }).uid }
    return this.#regarding
  }

  #nameOf({ reason, key }: Report): string {
    const { workload } = this.#options
    const hash = createHash('sha256').update(`${reason}\n${key}`).digest('hex').slice(0, 16)
    return `${workload}.${hash}`
  }

  /** The wall clock's time of the entry's last report. */
  #wallOf({ lastAt }: Entry): number {
    return Date.now() - (this.#options.now() - lastAt)
  }
}

function seriesOf(count: number, lastAt: number): ApiObject {
  return { count, lastObservedTime: microTime(lastAt) }
}

/** At most so many bytes of UTF-8, whole characters. */
export function shortened(text: string, maxBytes = MAX_NOTE_BYTES): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const kept = new Uint8Array(maxBytes - 3)
  const { read } = new TextEncoder().encodeInto(text, kept)
  return `${text.slice(0, read)}…`
}
