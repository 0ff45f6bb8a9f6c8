import type { GroupDescription } from '../../../src/kafka/groupMembers.ts'
import type { ClusterState } from '../../../src/kubernetes/view.ts'
import type { CommittedPartition, KafkaState } from '../../../src/status/kafkaSide.ts'
import type { About, Sides } from '../../../src/status/merge.ts'
import type { PodStatus, StatusReport } from '../../../src/status/report.ts'
import { encodeAggregateCommit } from '../../../src/tasks/aggregateCommit.ts'
import { encodeReduceCommit } from '../../../src/tasks/reduceCommit.ts'
import { levelsOf } from '../../../src/windows/levels.ts'

export const NOW = '2026-01-31T08:00:00.000Z'
export const NOW_MS = Date.parse(NOW)
export const ABOUT: About = { nowMs: NOW_MS, version: '1.2.3', generation: 1, baseSize: '10s' }
export const [BASE, MINUTE] = levelsOf({ windowSizeMs: 10_000, rollupsMs: [60_000], slidingWindows: [] })
export const TOPIC = 'logins'
export const PARTIALS = 'partials'

export const at = (secondsAgo: number) => new Date(NOW_MS - secondsAgo * 1_000).toISOString()

export function committed(partition: number, offset: number, end: number): CommittedPartition {
  const commit = encodeAggregateCommit({
    offset,
    replayFrom: 0,
    clockAtReplayFrom: 0,
    clock: NOW_MS - 5_000,
    from: 0,
    clockAtFrom: 0,
    totals: { accepted: offset - 3, late: 1, rejected: { not_json: 2 } },
    gaps: partition === 1 ? [{ from: 10, to: 20, clockBefore: 0, untilMs: 1 }] : [],
    configHash: 'hash',
    partialsPartitions: 1,
  })
  return { partition, range: { start: 0, end }, commit }
}

export function reduced(offset: number, end: number): CommittedPartition {
  const finalThrough = Math.floor(NOW_MS / 10_000) - 4
  const told = { offset, replayFrom: 0, finalThrough, droppedThrough: 0, sourcePartitions: 2, configHash: 'hash' }
  return { partition: 0, range: { start: 0, end }, commit: encodeReduceCommit(told) }
}

export function group(
  groupId: string,
  members: readonly { host: string | null; address: string; partitions: Record<string, number[]> }[],
  state = 'Stable',
): GroupDescription {
  const all = members.map((member, index) => ({
    ...member,
    clientId: 'tidemark',
    memberId: `tidemark-id${index}-0000`,
  }))
  return { groupId, state, members: all }
}

export const AGGREGATORS = group('tidemark-aggregate', [
  { host: 'agg-a', address: '10.0.0.1', partitions: { [TOPIC]: [0] } },
  { host: null, address: '10.0.0.2', partitions: { [TOPIC]: [1] } },
])
export const REDUCERS = group('tidemark-reduce', [
  { host: 'laptop', address: '127.0.0.1', partitions: { [PARTIALS]: [0] } },
])

export function kafkaState(changes: Partial<KafkaState> = {}): KafkaState {
  return {
    sourceTopic: TOPIC,
    partitions: [committed(0, 100, 100), committed(1, 50, 80)],
    idleAsOf: new Map<number, number | null>([
      [0, NOW_MS - 2_000],
      [1, null],
    ]),
    lanes: [{ ...reduced(40, 41), level: BASE!, topic: PARTIALS }],
    groups: [AGGREGATORS, REDUCERS, group('tidemark-sink', [], 'Dead')],
    newest: null,
    deadLetters: { topic: 'letters', offsets: 6 },
    notes: [],
    ...changes,
  }
}

export function pod(name: string, changes: Partial<PodStatus> = {}): PodStatus {
  return {
    name,
    component: 'aggregate',
    phase: 'Running',
    ready: true,
    terminating: false,
    restarts: 0,
    since: at(300),
    node: 'node-1',
    ip: null,
    deletionCost: 100,
    reason: null,
    ...changes,
  }
}

export function clusterState(changes: Partial<ClusterState> = {}): ClusterState {
  return {
    releases: ['tidemark'],
    workloads: [{ name: 'tidemark-aggregate', component: 'aggregate', wanted: 2, current: 2, ready: 2, updated: 2 }],
    scalers: [
      {
        kind: 'ScaledObject',
        name: 'tidemark-aggregate',
        target: 'tidemark-aggregate',
        min: 1,
        max: 12,
        current: 2,
        desired: 2,
        paused: null,
        lagThreshold: 1_000,
        conditions: [
          { type: 'Ready', status: 'True', reason: 'ScaledObjectReady', message: '' },
          { type: 'Active', status: 'True', reason: 'ScalerActive', message: '' },
        ],
      },
    ],
    pods: [pod('agg-a'), pod('agg-b', { ip: '10.0.0.2', deletionCost: null })],
    ports: new Map(),
    services: ['tidemark-serve'],
    notes: [],
    ...changes,
  }
}

export const OFF = { state: 'off', reason: 'not here' } as const

export function sides(changes: Partial<Sides> = {}): Sides {
  return {
    kubernetes: { state: 'answered', at: 'namespace default', value: clusterState() },
    kafka: { state: 'answered', at: 'kafka:9092', value: kafkaState() },
    pods: OFF,
    ...changes,
  }
}

/** A report in which all is well. */
export function fine(changes: Partial<StatusReport> = {}): StatusReport {
  return {
    v: 1,
    at: NOW,
    version: '1.2.3',
    generation: 1,
    sides: {
      kubernetes: { state: 'answered', at: 'namespace default' },
      kafka: { state: 'answered', at: 'kafka:9092' },
      pods: OFF,
    },
    notes: [],
    workloads: clusterState().workloads,
    scalers: clusterState().scalers,
    pods: clusterState().pods,
    partitions: [partition()],
    reducers: [],
    members: [],
    windows: [],
    totals: null,
    deadLetters: null,
    ...changes,
  }
}

export function partition(
  changes: Partial<StatusReport['partitions'][number]> = {},
): StatusReport['partitions'][number] {
  return {
    partition: 0,
    position: 90,
    end: 100,
    lag: 10,
    clock: at(5),
    idleSince: null,
    accepted: 87,
    late: 1,
    rejected: 2,
    gaps: [],
    owner: 'agg-a',
    fault: null,
    ...changes,
  }
}
