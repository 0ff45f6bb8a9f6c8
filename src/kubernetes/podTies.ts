import type { KubernetesSettings } from '../config/settings.ts'
import type { Commit } from '../tasks/task.ts'
import { type Log, type SampledLog, sampled } from '../telemetry/log.ts'
import type { RejectionAlarm } from '../telemetry/rejections.ts'
import type { RoleListener } from '../telemetry/roleTelemetry.ts'
import { KINDS, type KubernetesApi } from './api.ts'
import { CostTeller, DELETION_COST, HandOverCost } from './deletionCost.ts'
import { Elector } from './elector.ts'
import type { LeaseTimes } from './lease.ts'
import { keepLimit } from './limitKeeper.ts'
import { Recorder } from './recorder.ts'
import { alarmReport, corruptReport, limitReport, noticeReport, type Report } from './reports.ts'
import { Troubles } from './troubles.ts'

export type Pace = {
  /** How often costs and Events are looked at. */
  readonly tickMs: number
  /** How often the Lease is renewed or looked at. */
  readonly leaseMs: number
  readonly lease: LeaseTimes
  /** How often the leader compares the topic with the ScaledObject. */
  readonly limitMs: number
}

export type PodTiesOptions = {
  readonly pod: KubernetesSettings
  readonly role: string
  readonly sourceTopic: string
  readonly nameOf: (partition: number) => string
  readonly replayFromOf: (commit: Commit) => number
  readonly log: Pick<Log, 'write'>
  /** Shorter in tests. */
  readonly pace?: Pace
}

const PACE: Pace = {
  tickMs: 5_000,
  leaseMs: 10_000,
  lease: { durationMs: 30_000, renewWithinMs: 20_000 },
  limitMs: 30_000,
}

const FAULT_INTERVAL_MS = 60_000

/** Everything that one pod keeps up with its cluster, from the first look until its end. */
export class PodTies {
  readonly on: Pick<RoleListener, 'assigned' | 'delivered' | 'notice' | 'corrupt'>
  readonly #options: PodTiesOptions
  readonly #pace: Pace
  readonly #troubles: Troubles
  /** What fails at each try is said now and then. */
  readonly #faults: SampledLog
  readonly #cost: HandOverCost
  readonly #teller = new CostTeller()
  /** Null without a workload to record on. */
  readonly #recorder: Recorder | null
  #api: KubernetesApi | null = null
  #elector: Elector | null = null
  #countPartitions: (() => Promise<number | null>) | null = null
  #timers: NodeJS.Timeout[] = []
  #ended = false

  constructor(options: PodTiesOptions) {
    const { pod, role, log, nameOf } = options
    this.#options = options
    this.#pace = options.pace ?? PACE
    this.#troubles = new Troubles(log)
    this.#faults = sampled(log, FAULT_INTERVAL_MS)
    this.#cost = new HandOverCost(options.replayFromOf)
    const { workload, namespace, podName } = pod
    const recorder = { namespace, podName, role, log, troubles: this.#troubles, now }
    this.#recorder = workload === null ? null : new Recorder({ ...recorder, workload })
    this.on = {
      assigned: (_epoch, partitions) => this.#cost.assigned(partitions),
      delivered: (partition, { commit }) => this.#cost.committed(partition, commit),
      notice: (partition, notice) => this.report(noticeReport(nameOf(partition), notice)),
      corrupt: (partition, batch) => this.report(corruptReport(nameOf(partition), batch)),
    }
  }

  alarm(alarm: RejectionAlarm): void {
    this.report(alarmReport(this.#options.nameOf(alarm.partition), alarm))
  }

  report(report: Report | null): void {
    if (report === null || this.#recorder === null) return
    this.#recorder.add(report)
    // A first one is told at once, with those of the same moment.
    if (this.#recorder.hasNew && this.#api !== null) void this.#recorder.write(this.#api)
  }

  /** Whether an Event waits that was never told. */
  get hasNew(): boolean {
    return this.#recorder?.hasNew ?? false
  }

  keepLimit(countPartitions: () => Promise<number | null>): void {
    this.#countPartitions = countPartitions
    this.#enterElection()
  }

  /** Begins to talk to the API server. */
  begin(api: KubernetesApi): void {
    if (this.#ended) return
    this.#api = api
    const tick = () => Promise.all([this.#tellCost(api), this.#recorder?.write(api)])
    this.#every(this.#pace.tickMs, tick)
    this.#enterElection()
  }

  /** Tells what waits and releases the Lease. Never rejects. */
  async end(): Promise<void> {
    this.#ended = true
    for (const timer of this.#timers) clearInterval(timer)
    if (this.#api === null) return
    await Promise.all([this.#recorder?.write(this.#api), this.#elector?.release()])
  }

  async #tellCost(api: KubernetesApi): Promise<void> {
    const cost = this.#teller.due(this.#cost.cost(), now())
    if (cost === null) return
    const patch = { metadata: { annotations: { [DELETION_COST]: String(cost) } } }
    const answer = await api.patch(KINDS.pods, this.#options.pod.podName, patch)
    if (!answer.ok) return this.#troubles.refused('patch', KINDS.pods, answer)
    this.#troubles.worked('patch', KINDS.pods)
    this.#teller.told(cost)
  }

  /** Once both are there: the API, and the topic to look at. */
  #enterElection(): void {
    const { workload, podName, scaledObject } = this.#options.pod
    const [api, countPartitions] = [this.#api, this.#countPartitions]
    if (this.#elector !== null || api === null || countPartitions === null) return
    if (workload === null || scaledObject === null) return
    const { lease: times, leaseMs, limitMs } = this.#pace
    const { log, sourceTopic } = this.#options
    const troubles = this.#troubles
    const elector = new Elector({ api, troubles, lease: workload, candidate: podName, times, now })
    this.#elector = elector
    const leads = () => elector.leads && !this.#ended
    const onChange = (change: Parameters<typeof limitReport>[2]) => {
      this.report(limitReport(scaledObject, sourceTopic, change))
    }
    const look = async () => {
      if (leads()) await keepLimit({ api, troubles, log, scaledObject, countPartitions, leads, onChange })
    }
    let led = false
    this.#every(leaseMs, async () => {
      await elector.tick()
      if (led === elector.leads) return
      led = elector.leads
      log.write('info', led ? 'leading' : 'no_longer_leading', { lease: workload })
      await look()
    })
    this.#every(limitMs, look)
  }

  /** At once and then regularly; a run that takes longer leaves out the next ones. */
  #every(ms: number, run: () => Promise<unknown>): void {
    let running = false
    const once = async () => {
      if (running || this.#ended) return
      running = true
      try {
        await run()
      } catch (error) {
        // A fault of ours: it must not end a process that counts.
        this.#faults.write('error', 'kubernetes_fault', { err: error })
      } finally {
        running = false
      }
    }
    void once()
    // A cluster must not keep a process alive that has nothing else to do.
    this.#timers.push(setInterval(() => void once(), ms).unref())
  }
}

function now(): number {
  return performance.now()
}
