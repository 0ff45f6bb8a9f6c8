import type { PartitionStatus, PodStatus, ReducerStatus, ScalerStatus, StatusReport, WorkloadStatus } from './report.ts'

/** The conditions of ScaledObjects and HPAs that say by `False` that scaling does not work. */
const MUST_HOLD: ReadonlySet<string> = new Set(['Ready', 'AbleToScale', 'ScalingActive'])
/** An HPA whose target is at 0 says so by ScalingActive: nobody has to do anything. */
const NO_FAULTS: ReadonlySet<string> = new Set(['ScalingDisabled'])

/**
 * What an operator should look at, a line each; empty when all is well as far as it is known.
 * @param maxLag offsets that may wait in one partition
 */
export function problemsOf(report: StatusReport, maxLag: number): string[] {
  const { partitions, reducers, pods, workloads, scalers } = report
  const nothingKnown = partitions.every(({ lag }) => lag === null) && answered(report)
  return [
    ...workloads.flatMap(ofWorkload),
    ...pods.flatMap(ofPod),
    ...scalers.flatMap(ofScaler),
    ...(nothingKnown ? ['the lag of no partition is known'] : []),
    ...partitions.flatMap(each => ofPartition(each, maxLag)),
    ...reducers.flatMap(each => ofReducer(each, maxLag)),
  ]
}

/** Whether at least one side has told anything. */
export function answered({ sides }: StatusReport): boolean {
  return [sides.kubernetes, sides.kafka].some(({ state }) => state === 'answered')
}

function ofWorkload({ name, wanted, ready }: WorkloadStatus): string[] {
  return ready < wanted ? [`Deployment ${name}: ${ready} of ${wanted} replicas are ready`] : []
}

/** A pod that ends is expected not to be ready. */
function ofPod({ name, ready, terminating, phase, reason }: PodStatus): string[] {
  return ready || terminating ? [] : [`pod ${name} is not ready (${reason ?? phase})`]
}

function ofScaler({ kind, name, conditions, paused }: ScalerStatus): string[] {
  const faults = conditions
    .filter(({ type, status, reason }) => MUST_HOLD.has(type) && status === 'False' && !NO_FAULTS.has(reason))
    // While KEDA is told to pause, it says so by these.
    .filter(() => paused === null)
    .map(({ type, reason, message }) => `${kind} ${name}: ${type} is False: ${message || reason}`)
  const fallback = conditions.some(({ type, status }) => type === 'Fallback' && status === 'True')
  return fallback ? [...faults, `${kind} ${name} cannot read the lag and holds its fallback`] : faults
}

function ofPartition({ partition, lag, owner, gaps, fault }: PartitionStatus, maxLag: number): string[] {
  const lost = gaps.map(([from, to]) => `offsets ${from} to ${to - 1} were gone before they were read`)
  return ofAnyone(`source partition ${partition}`, [
    ...waiting(lag, maxLag),
    ...unowned(owner),
    ...faulty(fault),
    ...lost,
  ])
}

function ofReducer({ level, partition, lag, owner, fault }: ReducerStatus, maxLag: number): string[] {
  const about = [...waiting(lag, maxLag), ...unowned(owner), ...faulty(fault)]
  return ofAnyone(`partials partition ${level}/${partition}`, about)
}

const ofAnyone = (who: string, problems: readonly string[]) => problems.map(problem => `${who}: ${problem}`)

function waiting(lag: number | null, maxLag: number): string[] {
  return lag !== null && lag > maxLag ? [`a lag of ${lag}, above ${maxLag}`] : []
}

function unowned(owner: string | null | undefined): string[] {
  return owner === null ? ['nobody owns it'] : []
}

function faulty(fault: string | null): string[] {
  return fault === null ? [] : [fault]
}
