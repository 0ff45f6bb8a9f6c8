import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../connect.ts'
import { repositoryOf } from '../images.ts'
import type { Ran } from '../support/run.ts'
import type { DevKafka } from './devKafka.ts'
import type { Loads } from './loads.ts'
import type { Log } from './log.ts'
import type { Figures, PhaseResult } from './report.ts'
import { extremes, type Sample, sampleText } from './samples.ts'
import { chartValues, LOAD_PER_SECOND, PARTITIONS } from './values.ts'
import type { Workloads } from './workloads.ts'

export const RELEASE = 'tidemark'
export const NAMESPACE = 'campaign'

/** One part of the campaign. */
export type Phase = {
  readonly name: string
  readonly title: string
  run(campaign: Campaign): Promise<{ readonly figures: Figures; readonly complaints: readonly string[] }>
}

export type CampaignParts = {
  readonly cluster: Cluster
  readonly chart: string
  readonly kafka: DevKafka
  readonly log: Log
  readonly loads: Loads
  readonly workloads: Workloads
  readonly short: boolean
  /** Two tags of the image: the one installed, and the one upgraded to. */
  readonly tags: readonly [string, string]
  /** The environment of commands beside the cluster. */
  readonly env: NodeJS.ProcessEnv
  say(text: string): void
}

const SAMPLE_MS = 2_000
const HELM_LIMIT_MS = 330_000
const SCALED_LIMIT_SECONDS = 180

/** What the phases share: the cluster, the topics, the load, and the timeline of them. */
export class Campaign {
  readonly parts: CampaignParts
  readonly samples: Sample[] = []
  readonly #startedAt = performance.now()
  readonly #notes: string[] = []
  #phase = ''
  #tag = ''
  /** What could not be sampled in a row; a broker or API that is away for a moment is no failure. */
  #missed = 0

  constructor(parts: CampaignParts) {
    this.parts = parts
  }

  /** Seconds since the campaign began. */
  now(): number {
    return (performance.now() - this.#startedAt) / 1000
  }

  /** Told with the next sample. */
  note(text: string): void {
    this.#notes.push(text)
  }

  /** Runs a phase; a failure of its own is a complaint, and the load ends with it in any case. */
  async run({ name, title, run }: Phase): Promise<PhaseResult> {
    const since = this.now()
    this.#phase = name
    this.parts.say(`-- ${title}`)
    let told: Awaited<ReturnType<Phase['run']>>
    try {
      told = await run(this)
    } catch (error) {
      told = { figures: {}, complaints: [error instanceof Error ? error.message : String(error)] }
    }
    const left = await this.parts.loads.stop().then(
      () => [],
      error => [String(error)],
    )
    return {
      name,
      title,
      seconds: this.now() - since,
      figures: told.figures,
      complaints: [...told.complaints, ...left],
    }
  }

  /**
   * Samples until the newest one meets the test, or until so many seconds after `since` (a time of `now`).
   * @returns the seconds it took from `since` on; null: never
   */
  async until(test: (sample: Sample) => boolean, limitSeconds: number, since = this.now()): Promise<number | null> {
    while (this.now() - since < limitSeconds) {
      const sample = await this.sample()
      if (sample !== null && test(sample)) return sample.at - since
      await sleep(SAMPLE_MS)
    }
    return null
  }

  async forSeconds(seconds: number): Promise<void> {
    await this.until(() => false, seconds)
  }

  /** Until a question to the cluster is answered with yes. @returns the seconds it took; null: not within the limit */
  async untilTrue(ask: () => Promise<boolean>, limitSeconds: number): Promise<number | null> {
    const since = this.now()
    while (this.now() - since < limitSeconds) {
      if (await ask()) return this.now() - since
      await this.sample()
      await sleep(SAMPLE_MS / 2)
    }
    return null
  }

  /** One more line of the timeline; null when the cluster or the broker could not be asked. */
  async sample(): Promise<Sample | null> {
    const { log, workloads, say } = this.parts
    try {
      const [totals, replicas] = await Promise.all([log.totals(), workloads.replicas()])
      const none = { wanted: 0, ready: 0 }
      const sample: Sample = {
        at: this.now(),
        phase: this.#phase,
        ...totals,
        aggregate: replicas.get('aggregate') ?? none,
        reduce: replicas.get('reduce') ?? none,
        notes: this.#notes.splice(0),
      }
      this.samples.push(sample)
      this.#missed = 0
      say(sampleText(sample))
      return sample
    } catch (error) {
      if (++this.#missed >= 10) throw error
      return null
    }
  }

  /** Begins the load of a phase, and waits for all aggregators: what follows must meet them at work. */
  async loaded(): Promise<void> {
    const { loads } = this.parts
    loads.start(LOAD_PER_SECOND)
    const all = ({ aggregate }: Sample) => aggregate.wanted === PARTITIONS && aggregate.ready === PARTITIONS
    if ((await this.until(all, SCALED_LIMIT_SECONDS)) === null)
      throw new Error('the load did not bring all aggregators')
  }

  /** Ends the load, waits until all is counted, and holds the results against the log. */
  async judge(since: number): Promise<{ readonly figures: Figures; readonly complaints: readonly string[] }> {
    const { log, loads } = this.parts
    await loads.stop()
    await this.until(({ lag }) => lag === 0, 120)
    const { verdict, records, differences } = await log.judge()
    await this.sample()
    const { events, complaints } = loads.acknowledged()
    const missing = events === records ? [] : [`${events} events were acknowledged, the log has ${records}`]
    const { maxLag, minReady, maxReady } = extremes(this.samples, since)
    const figures = {
      events: records,
      windows: verdict.windows,
      'max lag': maxLag,
      aggregators: `${minReady}-${maxReady}`,
      differences: verdict.differenceCount + differences.length - verdict.differences.length,
    }
    return { figures, complaints: [...differences, ...missing, ...complaints] }
  }

  /** The tag of the image that was installed last. */
  get tag(): string {
    return this.#tag
  }

  /** `helm install|upgrade` with the campaign's values and more. */
  helm(action: 'install' | 'upgrade', tag: string, more: readonly string[] = []): Promise<Ran> {
    this.#tag = tag
    const { cluster, chart, kafka } = this.parts
    const values = chartValues(repositoryOf(cluster.target, 'tidemark'), tag, kafka.brokers)
    const args = [action, RELEASE, chart, '-n', NAMESPACE, '--timeout', '5m', '-f', '-', ...more]
    return cluster.kube.helm(args, { input: JSON.stringify(values), limitMs: HELM_LIMIT_MS })
  }
}

/** A complaint when something took too long or did not happen at all. */
export function within(what: string, seconds: number | null, limit: number): string[] {
  if (seconds !== null && seconds <= limit) return []
  return [`${what}: ${seconds === null ? 'not' : `${seconds.toFixed(1)} s`}; allowed are ${limit} s`]
}

/** Seconds as a figure. */
export function figure(seconds: number | null): string {
  return seconds === null ? 'never' : `${seconds.toFixed(1)} s`
}
