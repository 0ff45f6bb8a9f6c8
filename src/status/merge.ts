import type { GroupDescription, GroupMember } from '../kafka/groupMembers.ts'
import { STAGES } from '../kafka/names.ts'
import type { ClusterState } from '../kubernetes/view.ts'
import type { Result } from '../results/result.ts'
import { decodeAggregateCommit } from '../tasks/aggregateCommit.ts'
import { sumTotals } from '../tasks/messages.ts'
import { decodeReduceCommit } from '../tasks/reduceCommit.ts'
import { endMsOf } from '../windows/levels.ts'
import { isoTime } from '../windows/windows.ts'
import type { CommittedPartition, KafkaState } from './kafkaSide.ts'
import type { TaskReading } from './metricsText.ts'
import type { NewestResults } from './newestResults.ts'
import type { PodsState } from './podSide.ts'
import type {
  MemberStatus,
  PartitionStatus,
  ReducerStatus,
  SideState,
  StatusReport,
  TotalsStatus,
  WindowStatus,
} from './report.ts'

/** How asking a side has ended. `at` is where it is, for people: brokers, or a context's namespace. */
export type Asked<T> =
  | { readonly state: 'answered'; readonly at: string; readonly value: T }
  | { readonly state: 'failed'; readonly at: string; readonly reason: string }
  | { readonly state: 'off'; readonly reason: string }

export type Sides = {
  readonly kubernetes: Asked<ClusterState>
  readonly kafka: Asked<KafkaState>
  readonly pods: Asked<PodsState>
}

export type About = {
  /** Epoch milliseconds. */
  readonly nowMs: number
  readonly version: string
  readonly generation: number
  /** The base windows' size, as `10s`: what a reducer's partition without a level is of. */
  readonly baseSize: string
}

/**
 * One report of what the sides have told. Kafka knows more of partitions, and is believed where it has answered; what the
 * pods tell stands in its place where it has not.
 */
export function mergeStatus(about: About, sides: Sides): StatusReport {
  const cluster = answerOf(sides.kubernetes)
  const kafka = answerOf(sides.kafka)
  const pods = answerOf(sides.pods)
  const members = kafka?.groups ? membersOf(kafka.groups, cluster) : null
  const newest = kafka?.newest ?? pods?.newest ?? null
  // Whoever looks from afar may have other settings than the pods: what these tell is of themselves.
  const told = kafka === null ? newest?.base[0] : undefined
  const clusterNotes = (cluster?.notes ?? []).map(note => `kubernetes: ${note}`)
  const kafkaTold = [...(kafka?.notes ?? []), ...rebalancing(kafka?.groups ?? []), ...strangers(members, cluster)]
  const kafkaNotes = kafkaTold.map(note => `kafka: ${note}`)
  const partitions = kafka === null ? toldPartitions(pods, newest) : committedPartitions(kafka, members)
  return {
    v: 1,
    at: isoTime(about.nowMs),
    version: about.version,
    generation: told?.generation ?? about.generation,
    sides: { kubernetes: stateOf(sides.kubernetes), kafka: stateOf(sides.kafka), pods: stateOf(sides.pods) },
    notes: [...clusterNotes, ...kafkaNotes, ...(pods?.notes ?? []).map(note => `pods: ${note}`)],
    workloads: cluster?.workloads ?? [],
    scalers: cluster?.scalers ?? [],
    pods: cluster?.pods ?? [],
    partitions,
    reducers:
      kafka === null ? toldReducers(pods, told?.window.size ?? about.baseSize) : committedReducers(kafka, members),
    members,
    windows: newest === null ? [] : windowsOf(newest),
    totals: kafka === null ? newestTotals(newest) : committedTotals(kafka),
    deadLetters: kafka?.deadLetters ?? null,
  }
}

function answerOf<T>(asked: Asked<T>): T | null {
  return asked.state === 'answered' ? asked.value : null
}

function stateOf(asked: Asked<unknown>): SideState {
  return asked.state === 'answered' ? { state: asked.state, at: asked.at } : asked
}

/** While a group collects its members nobody owns anything, which is no reason for alarm. */
const UNSETTLED: ReadonlySet<string> = new Set(['PreparingRebalance', 'CompletingRebalance'])

function rebalancing(groups: readonly GroupDescription[]): string[] {
  return groups.filter(({ state }) => UNSETTLED.has(state)).map(({ groupId }) => `the group ${groupId} is rebalancing`)
}

/** Two systems looked at as one would be worse than none: a port-forward soon leads to the wrong one. */
function strangers(members: readonly MemberStatus[] | null, cluster: ClusterState | null): string[] {
  const pods = (cluster?.pods ?? []).filter(({ component, ready }) => ready && component === 'aggregate')
  const readers = (members ?? []).filter(({ stage }) => stage === 'aggregate')
  if (pods.length === 0 || readers.length === 0) return []
  if (readers.some(({ name }) => pods.some(pod => pod.name === name))) return []
  const who = readers.map(({ name }) => name).join(', ')
  return [`none of the pods is in its groups, but ${who}: do KAFKA_BROKERS and the namespace belong together?`]
}

function membersOf(groups: readonly GroupDescription[], cluster: ClusterState | null): MemberStatus[] {
  return groups.flatMap((group, index) => {
    const names = group.members.map(member => nameOf(member, cluster))
    return group.members.map((member, at): MemberStatus => {
      const name = names[at] as string
      // Several processes of one machine have its name alike; their ids tell them apart.
      const isShared = names.indexOf(name) !== names.lastIndexOf(name)
      const stage = STAGES[index] as MemberStatus['stage']
      const { address, partitions } = member
      return { stage, name: isShared ? `${name}#${idOf(member)}` : name, address, partitions }
    })
  })
}

/** A pod's host name is its name; where it tells none, its address says as much as long as nothing stands between. */
function nameOf({ host, address, memberId }: GroupMember, cluster: ClusterState | null): string {
  const pods = cluster?.pods ?? []
  const pod = pods.find(({ name }) => name === host) ?? pods.find(({ ip }) => ip !== null && ip === address)
  return pod?.name ?? host ?? memberId
}

/** The brokers make a member's id of the client's id and a UUID. */
function idOf({ memberId, clientId }: GroupMember): string {
  return memberId.slice(clientId.length + 1, clientId.length + 5)
}

/** @returns undefined while it cannot be known */
function ownerOf(
  { groups }: KafkaState,
  members: readonly MemberStatus[] | null,
  stage: 'aggregate' | 'reduce',
  topic: string,
  partition: number,
): string | null | undefined {
  const group = groups?.[STAGES.indexOf(stage)]
  if (members === null || group === undefined || UNSETTLED.has(group.state)) return undefined
  const owner = members.find(each => each.stage === stage && each.partitions[topic]?.includes(partition))
  return owner?.name ?? null
}

function committedPartitions(kafka: KafkaState, members: readonly MemberStatus[] | null): PartitionStatus[] {
  return kafka.partitions.map(each => {
    const { partition, range } = each
    const { value: commit, fault } = decoded(each, decodeAggregateCommit)
    const idleAsOf = kafka.idleAsOf.get(partition)
    return {
      partition,
      position: each.commit?.offset ?? null,
      end: range.end,
      lag: lagOf(each),
      clock: commit === null || commit.clock === 0 ? null : isoTime(commit.clock),
      idleSince: idleAsOf === undefined || idleAsOf === null ? idleAsOf : isoTime(idleAsOf),
      accepted: commit?.totals.accepted ?? null,
      late: commit?.totals.late ?? null,
      rejected: commit === null ? null : Object.values(commit.totals.rejected).reduce((sum, count) => sum + count, 0),
      gaps: commit?.gaps.map(({ from, to }) => [from, to] as const) ?? [],
      owner: ownerOf(kafka, members, 'aggregate', kafka.sourceTopic, partition),
      fault,
    }
  })
}

function committedReducers(kafka: KafkaState, members: readonly MemberStatus[] | null): ReducerStatus[] {
  return kafka.lanes.map(each => {
    const { level, topic, partition, range } = each
    const { value: commit, fault } = decoded(each, decodeReduceCommit)
    return {
      level: level.name,
      topic,
      partition,
      position: each.commit?.offset ?? null,
      end: range.end,
      lag: lagOf(each),
      finalThrough: commit === null || commit.finalThrough < 0 ? null : isoTime(endMsOf(level, commit.finalThrough)),
      owner: ownerOf(kafka, members, 'reduce', topic, partition),
      fault,
    }
  })
}

/** Where nothing is committed all of the log waits. */
function lagOf({ range, commit }: CommittedPartition): number {
  return Math.max(0, range.end - Math.max(commit?.offset ?? 0, range.start))
}

function decoded<T>(
  { commit, range }: CommittedPartition,
  decode: (commit: NonNullable<CommittedPartition['commit']>) => T,
): { value: T | null; fault: string | null } {
  if (commit === null) return { value: null, fault: null }
  const isBeyond = commit.offset > range.end
  const fault = isBeyond ? `the committed offset ${commit.offset} lies beyond the log's end` : null
  try {
    return { value: decode(commit), fault }
  } catch {
    return { value: null, fault: `the committed offset ${commit.offset} was not written by Tidemark` }
  }
}

type Told = TaskReading & { readonly pod: string }

/** Two pods may tell of one partition while it is handed over: the one that is live is its owner. */
function toldBy(pods: PodsState | null, role: TaskReading['role']): Told[] {
  const byName = new Map<string, Told>()
  for (const { pod, tasks } of pods?.readings ?? []) {
    for (const task of tasks) {
      const known = byName.get(task.name)
      if (task.role === role && (known === undefined || (task.live && !known.live)))
        byName.set(task.name, { ...task, pod })
    }
  }
  return [...byName.values()]
}

function toldPartitions(pods: PodsState | null, newest: NewestResults | null): PartitionStatus[] {
  if (pods === null) return []
  const told = new Map(toldBy(pods, 'aggregate').map(each => [Number(each.name), each]))
  // Results tell of partitions that nobody owns now.
  const covered = [...(newest?.base ?? []), ...(newest?.finals ?? [])].flatMap(({ coverage }) => Object.keys(coverage))
  const all = [...new Set([...told.keys(), ...covered.map(Number)])].sort((a, b) => a - b)
  return all.map(partition => {
    const { position = null, lag = null, clockMs = null, pod = null } = told.get(partition) ?? {}
    return {
      partition,
      position,
      end: position === null || lag === null ? null : position + lag,
      lag,
      clock: clockMs === null ? null : isoTime(clockMs),
      idleSince: undefined,
      accepted: null,
      late: null,
      rejected: null,
      gaps: [],
      owner: pod,
      fault: null,
    }
  })
}

function toldReducers(pods: PodsState | null, baseSize: string): ReducerStatus[] {
  return toldBy(pods, 'reduce').map(({ name, position, lag, pod }) => {
    const [level, partition] = name.includes('/') ? name.split('/') : [baseSize, name]
    return {
      level: level as string,
      topic: '',
      partition: Number(partition),
      position,
      end: position === null || lag === null ? null : position + lag,
      lag,
      finalThrough: null,
      owner: pod,
      fault: null,
    }
  })
}

/** The newest of the base, then the newest final of each level that is not among them. */
function windowsOf({ base, finals }: NewestResults): WindowStatus[] {
  const others = finals.filter(({ window }) => {
    return !base.some(each => each.window.size === window.size && each.window.start === window.start)
  })
  return [...base, ...others].map(({ window, status, revision, batch_size, exact, current_time }) => {
    return { ...window, status, revision, batchSize: batch_size, exact, written: current_time }
  })
}

function committedTotals(kafka: KafkaState): TotalsStatus | null {
  const commits = kafka.partitions.map(each => decoded(each, decodeAggregateCommit).value).filter(each => each !== null)
  return commits.length === 0 ? null : sumTotals(commits)
}

function newestTotals(newest: NewestResults | null): TotalsStatus | null {
  const results: Result[] = [...(newest?.base ?? []), ...(newest?.finals ?? [])]
  const [last] = results.sort((a, b) => Date.parse(b.current_time) - Date.parse(a.current_time))
  return last?.stream_totals ?? null
}
