import { describe, expect, test } from 'vitest'
import { mergeStatus } from '../../../src/status/merge.ts'
import { readings } from '../../../src/status/metricsText.ts'
import { newestOf } from '../../../src/status/newestResults.ts'
import type { PodsState } from '../../../src/status/podSide.ts'
import { aResult } from '../results/factory.ts'
import {
  ABOUT,
  AGGREGATORS,
  at,
  clusterState,
  group,
  kafkaState,
  OFF,
  pod,
  REDUCERS,
  reduced,
  sides,
  TOPIC,
} from './support.ts'

describe('with Kafka and a cluster', () => {
  const report = mergeStatus(ABOUT, sides())

  test('partitions stand where their commits say', () => {
    expect(report.partitions).toEqual([
      {
        partition: 0,
        position: 100,
        end: 100,
        lag: 0,
        clock: at(5),
        idleSince: at(2),
        accepted: 97,
        late: 1,
        rejected: 2,
        gaps: [],
        owner: 'agg-a',
        fault: null,
      },
      {
        partition: 1,
        position: 50,
        end: 80,
        lag: 30,
        clock: at(5),
        idleSince: null,
        accepted: 47,
        late: 1,
        rejected: 2,
        gaps: [[10, 20]],
        // It has told no host: the pod of its address.
        owner: 'agg-b',
        fault: null,
      },
    ])
    expect(report.totals).toEqual({ accepted: 144, late: 2, rejected: { not_json: 4 } })
  })

  test('reducers tell through when windows are final', () => {
    expect(report.reducers).toEqual([
      {
        level: '10s',
        topic: 'partials',
        partition: 0,
        position: 40,
        end: 41,
        lag: 1,
        finalThrough: at(30),
        owner: 'laptop',
        fault: null,
      },
    ])
  })

  test('what the cluster says stands as it is', () => {
    expect(report).toMatchObject({ workloads: clusterState().workloads, pods: clusterState().pods, notes: [] })
  })
})

test('a partition that nobody reads has no owner, and one of a group that settles an unknown one', () => {
  const [lonely] = AGGREGATORS.members
  const left = { ...AGGREGATORS, members: [lonely!] }
  const rebalancing = group('tidemark-reduce', [{ host: 'x', address: '', partitions: {} }], 'CompletingRebalance')
  const value = kafkaState({ groups: [left, rebalancing, group('tidemark-sink', [], 'Dead')] })
  const report = mergeStatus(ABOUT, sides({ kafka: { state: 'answered', at: 'kafka', value } }))
  expect(report.partitions.map(({ owner }) => owner)).toEqual(['agg-a', null])
  expect(report.reducers[0]?.owner).toBeUndefined()
  expect(report.notes).toEqual(['kafka: the group tidemark-reduce is rebalancing'])
})

test('processes of one machine are told apart by their ids', () => {
  const twice = group('tidemark-aggregate', [
    { host: 'laptop', address: '127.0.0.1', partitions: { [TOPIC]: [0] } },
    { host: 'laptop', address: '127.0.0.1', partitions: { [TOPIC]: [1] } },
  ])
  const value = kafkaState({ groups: [twice, REDUCERS, group('tidemark-sink', [], 'Dead')] })
  const report = mergeStatus(ABOUT, sides({ kubernetes: OFF, kafka: { state: 'answered', at: 'kafka', value } }))
  expect(report.partitions.map(({ owner }) => owner)).toEqual(['laptop#id0-', 'laptop#id1-'])
})

test("commits that are not ours, or lie beyond the log's end, are faults; none is none", () => {
  const range = { start: 5, end: 30 }
  const value = kafkaState({
    partitions: [
      { partition: 0, range, commit: { offset: 7, metadata: '' } },
      { partition: 1, range, commit: null },
    ],
    lanes: [{ ...reduced(50, 41), level: kafkaState().lanes[0]!.level, topic: 'partials' }],
  })
  const report = mergeStatus(ABOUT, sides({ kafka: { state: 'answered', at: 'kafka', value } }))
  expect(report.partitions).toMatchObject([
    { position: 7, lag: 23, clock: null, accepted: null, fault: 'the committed offset 7 was not written by Tidemark' },
    { position: null, lag: 25, clock: null, rejected: null, fault: null },
  ])
  expect(report.reducers).toMatchObject([{ lag: 0, fault: "the committed offset 50 lies beyond the log's end" }])
})

describe('when Kafka cannot be reached', () => {
  const METRICS = `# HELP tidemark_partition_live 1 once the state is rebuilt
# TYPE tidemark_partition_live gauge
tidemark_partition_live{partition="0",role="aggregate"} 1
tidemark_partition_position{partition="0",role="aggregate"} 70
tidemark_partition_lag_records{partition="0",role="aggregate"} 30
tidemark_partition_clock_timestamp_seconds{partition="0",role="aggregate"} ${Date.parse(at(5)) / 1_000}
tidemark_partition_live{partition="1",role="aggregate"} 0
process_cpu_seconds_total{role="aggregate"} 1.5
`
  const OTHER = `tidemark_partition_live{partition="1",role="aggregate"} 1
tidemark_partition_position{partition="1",role="aggregate"} 5
`
  const REDUCER = `tidemark_partition_position{partition="3",role="reduce"} 9
tidemark_partition_lag_records{partition="3",role="reduce"} 1
tidemark_partition_position{partition="1m/0",role="reduce"} 2
`
  const covered = { from: 0, clock_at_from: at(90), through: 7 }
  const totals = { accepted: 7, late: 1, rejected: {} }
  const base = aResult('10s', Date.parse(at(40)), {
    status: 'provisional',
    current_time: at(1),
    coverage: { '0': covered, '1': covered, '2': covered },
    stream_totals: totals,
    generation: 7,
  })
  const older = aResult('10s', Date.parse(at(80)), { current_time: at(40), coverage: { '0': covered } })
  const value: PodsState = {
    readings: [
      { pod: 'agg-a', tasks: readings(METRICS) },
      { pod: 'agg-b', tasks: readings(OTHER) },
      { pod: 'red-a', tasks: readings(REDUCER) },
    ],
    newest: newestOf([older, base], ['10s']),
    notes: [],
  }
  const kafka = { state: 'failed', at: 'kafka:9092', reason: 'getaddrinfo ENOTFOUND kafka' } as const
  const report = mergeStatus(ABOUT, sides({ kafka, pods: { state: 'answered', at: 'namespace default', value } }))

  test('the pods tell of partitions, of two the one that is live; results tell of those that nobody owns', () => {
    expect(report.partitions.map(each => [each.partition, each.position, each.end, each.lag, each.owner])).toEqual([
      [0, 70, 100, 30, 'agg-a'],
      [1, 5, null, null, 'agg-b'],
      [2, null, null, null, null],
    ])
    expect(report.partitions[0]).toMatchObject({ clock: at(5), accepted: null })
    expect(report.partitions[0]?.idleSince).toBeUndefined()
    expect(report.reducers.map(each => [each.level, each.partition, each.lag, each.owner])).toEqual([
      ['10s', 3, 1, 'red-a'],
      ['1m', 0, null, 'red-a'],
    ])
  })

  test('results and totals are those of serve', () => {
    expect(report.windows.map(({ start, status }) => [start, status])).toEqual([
      [base.window.start, 'provisional'],
      [older.window.start, 'final'],
    ])
    expect(report.totals).toEqual(totals)
    expect(report.sides.kafka).toEqual(kafka)
    expect(report.generation).toBe(7)
  })
})

test('windows are the newest of the base, then the newest final of each level', () => {
  const windows = [...Array(8).keys()].map(index => {
    return aResult('10s', Date.parse(at(100 - 10 * index)), { status: index === 0 ? 'corrected' : 'provisional' })
  })
  const minute = aResult('1m', Date.parse('2026-01-31T07:58:00.000Z'))
  const open = aResult('1m', Date.parse('2026-01-31T07:59:00.000Z'), { status: 'provisional' })
  const { base, finals } = newestOf([...windows, open, minute], ['10s', '1m', '1h'])
  expect(base).toEqual(windows.slice(2).reverse())
  expect(finals).toEqual([windows[0], minute])
})

test('without any side the report says why', () => {
  const failed = { state: 'failed', at: 'kafka:9092', reason: 'no' } as const
  const report = mergeStatus(ABOUT, { kubernetes: OFF, kafka: failed, pods: OFF })
  expect(report).toMatchObject({ partitions: [], pods: [], members: null, totals: null, deadLetters: null })
  expect(report.sides).toEqual({ kubernetes: OFF, kafka: failed, pods: OFF })
})

test('a pod of that very name is rather meant than one of that address', () => {
  const value = clusterState({ pods: [pod('other', { ip: '10.0.0.1' }), pod('agg-a', { ip: '10.9.9.9' })] })
  const report = mergeStatus(ABOUT, sides({ kubernetes: { state: 'answered', at: 'x', value } }))
  expect(report.partitions[0]?.owner).toBe('agg-a')
})

test('the brokers of another system are told apart from those of the pods', () => {
  const strangers = clusterState({ pods: [pod('x', { ip: '10.1.1.1' }), pod('y', { ip: '10.1.1.2' })] })
  const report = mergeStatus(ABOUT, sides({ kubernetes: { state: 'answered', at: 'x', value: strangers } }))
  expect(report.notes).toEqual([
    'kafka: none of the pods is in its groups, but agg-a, tidemark-id1-0000: do KAFKA_BROKERS and the namespace belong together?',
  ])
})
