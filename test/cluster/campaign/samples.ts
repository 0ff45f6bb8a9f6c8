/** The state of all at one moment. Counts are events since the campaign began. */
export type Sample = {
  /** Seconds since the campaign began. */
  readonly at: number
  readonly phase: string
  /** Records in the source topic. */
  readonly produced: number
  /** Records in it that no aggregator has committed. */
  readonly lag: number
  /** Events in the results of base windows. */
  readonly counted: number
  readonly aggregate: Replicas
  readonly reduce: Replicas
  /** What happened since the sample before. */
  readonly notes: readonly string[]
}

export type Replicas = { readonly wanted: number; readonly ready: number }

export const HEADING = '   time  phase      produced       lag   counted  aggregate   reduce'

/** One line of the timeline. */
export function sampleText({ at, phase, produced, lag, counted, aggregate, reduce, notes }: Sample): string {
  const replicas = (each: Replicas) => `${each.ready}/${each.wanted}`
  const columns = [
    clockText(at).padStart(7),
    ` ${phase.padEnd(9)}`,
    String(produced).padStart(9),
    String(lag).padStart(9),
    String(counted).padStart(9),
    replicas(aggregate).padStart(10),
    replicas(reduce).padStart(8),
  ]
  return `${columns.join(' ')}${notes.length > 0 ? `  ${notes.join('; ')}` : ''}`
}

/** `12:05` for 725 seconds. */
export function clockText(seconds: number): string {
  const whole = Math.floor(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** Seconds from `since` until the first sample at or after it that `test` holds for; null when there is none. */
export function secondsUntil(
  samples: readonly Sample[],
  since: number,
  test: (sample: Sample) => boolean,
): number | null {
  const found = samples.find(sample => sample.at >= since && test(sample))
  return found === undefined ? null : found.at - since
}

/** What the aggregators' number and the lag did in a span of time. */
export function extremes(
  samples: readonly Sample[],
  since: number,
): { readonly maxLag: number; readonly maxReady: number; readonly minReady: number } {
  const seen = samples.filter(({ at }) => at >= since)
  const ready = seen.map(({ aggregate }) => aggregate.ready)
  return {
    maxLag: Math.max(0, ...seen.map(({ lag }) => lag)),
    maxReady: Math.max(0, ...ready),
    minReady: seen.length === 0 ? 0 : Math.min(...ready),
  }
}
