import { describe, expect, it } from 'vitest'
import { CODE_MEANINGS } from '../../../src/events/codes.ts'
import type { Capture, OutputRecord, OutputTopic } from '../../../src/tasks/task.ts'
import type { PartitionReading } from '../../../src/telemetry/health.ts'
import { createMetrics, type Metrics, type Stage } from '../../../src/telemetry/metrics.ts'

/** The lines of the series of Tidemark's own metrics: name and labels without `role`, and the value. */
async function seriesOf(metrics: Metrics): Promise<Record<string, number>> {
  const text = await metrics.registry.metrics()
  const lines = text.split('\n').filter(line => line.startsWith('tidemark_'))
  return Object.fromEntries(
    lines.map(line => {
      const [series = '', value] = line.split(/ (?=[^ ]+$)/)
      return [
        series
          .replace(/,?role="[a-z]+"/, '')
          .replace('{,', '{')
          .replace('{}', ''),
        Number(value),
      ]
    }),
  )
}

function capture(offset: number, topics: readonly OutputTopic[], tally: Capture['tally']): Capture {
  const records = topics.map<OutputRecord>(topic => ({ topic, partition: null, key: 'user-1', value: '{}' }))
  return { stages: [records.slice(0, 1), records.slice(1)], commit: { offset, metadata: '' }, tally, notices: [] }
}

function reading(partition: number, position: number) {
  return { partition, position, lag: 7, clockMs: 1_694_477_552_500 }
}

describe.each<Stage>(['aggregate', 'reduce'])('of %s', role => {
  it('every metric is well named and explained, and every series has the role', async () => {
    const { registry } = createMetrics(role, '1.2.3')
    const own = (await registry.getMetricsAsJSON()).filter(({ name }) => !/^(process|nodejs)_/.test(name))
    expect(own.length).toBeGreaterThan(10)
    for (const { name, help, type } of own) {
      expect(name).toMatch(/^tidemark_[a-z]+(_[a-z]+)*$/)
      expect(help).toMatch(/^[A-Z0-9].*\.$/)
      expect(name.endsWith('_total')).toBe(String(type) === 'counter')
    }
    const text = await registry.metrics()
    const series = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
    expect(series.filter(line => !line.includes(`role="${role}"`))).toEqual([])
    expect(text).toContain(`tidemark_build_info{version="1.2.3",node="${process.version}",role="${role}"} 1`)
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds\{/m)
    expect(text).toMatch(/^process_resident_memory_bytes\{/m)
  })
})

describe('from the start', () => {
  it('every outcome and every code of a rejection is 0', async () => {
    const series = await seriesOf(createMetrics('aggregate', '1'))
    const codes = Object.keys(series).filter(name => name.startsWith('tidemark_rejected_events_total'))
    const { late, corrupt_batch, partial_too_late, ...rejections } = CODE_MEANINGS
    expect(codes.sort()).toEqual(
      Object.keys(rejections)
        .map(code => `tidemark_rejected_events_total{code="${code}"}`)
        .sort(),
    )
    expect(series).toMatchObject({
      'tidemark_events_total{outcome="accepted"}': 0,
      'tidemark_events_total{outcome="late"}': 0,
      'tidemark_events_total{outcome="rejected"}': 0,
      'tidemark_sent_records_total{output="enriched"}': 0,
      'tidemark_sent_records_total{output="dead_letters"}': 0,
      'tidemark_restarts_total{code="fenced"}': 0,
      tidemark_rebalances_total: 0,
      tidemark_corrupt_batches_total: 0,
      tidemark_processed_offsets_total: 0,
      tidemark_flush_duration_seconds_count: 0,
    })
    expect(Object.keys(series).filter(name => name.includes('partition="'))).toEqual([])
  })

  it('a reducer has no events', async () => {
    const series = await seriesOf(createMetrics('reduce', '1'))
    expect(Object.keys(series).filter(name => /events|rejected|enriched/.test(name))).toEqual([])
    expect(series).toMatchObject({ 'tidemark_notices_total{kind="partial_too_late"}': 0 })
  })

  it('is apart from other processes in the same program', async () => {
    const [one, other] = [createMetrics('aggregate', '1'), createMetrics('aggregate', '1')]
    one.assigned([0])
    expect(await seriesOf(other)).toMatchObject({ tidemark_rebalances_total: 0 })
    expect(await seriesOf(one)).toMatchObject({ tidemark_rebalances_total: 1 })
  })
})

describe('a capture', () => {
  it('counts events by outcome and code, and records by where they went', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.assigned([4])
    const sent: OutputTopic[] = ['partials', 'enriched', 'enriched', 'deadLetters', 'partials']
    metrics.delivered(4, capture(50, sent, { accepted: 2, late: 1, rejected: { not_json: 3, too_large: 4 } }), 1)
    metrics.delivered(4, capture(60, ['enriched'], { accepted: 1, late: 0, rejected: {} }), 1)
    expect(await seriesOf(metrics)).toMatchObject({
      'tidemark_events_total{outcome="accepted"}': 3,
      'tidemark_events_total{outcome="late"}': 1,
      'tidemark_events_total{outcome="rejected"}': 7,
      'tidemark_rejected_events_total{code="not_json"}': 3,
      'tidemark_rejected_events_total{code="too_large"}': 4,
      'tidemark_rejected_events_total{code="not_utf8"}': 0,
      'tidemark_sent_records_total{output="partials"}': 2,
      'tidemark_sent_records_total{output="enriched"}': 3,
      'tidemark_sent_records_total{output="dead_letters"}': 1,
      'tidemark_partition_committed_offset{partition="4"}': 60,
    })
  })
})

describe('a partition', () => {
  it('is told from assignment to live, and where it stands', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.assigned([1])
    expect(await seriesOf(metrics)).toMatchObject({ 'tidemark_partition_live{partition="1"}': 0 })
    metrics.restored(1, 80, 90)
    metrics.live(1, 0.2)
    metrics.observed([reading(1, 100)])
    metrics.delivered(1, capture(90, [], null), 0.03)
    metrics.rejectedShare(1, 0.25, true)
    expect(await seriesOf(metrics)).toMatchObject({
      tidemark_assigned_partitions: 1,
      'tidemark_partition_live{partition="1"}': 1,
      'tidemark_partition_position{partition="1"}': 100,
      'tidemark_partition_committed_offset{partition="1"}': 90,
      'tidemark_partition_lag_records{partition="1"}': 7,
      'tidemark_partition_clock_timestamp_seconds{partition="1"}': 1_694_477_552.5,
      'tidemark_rejected_share_ratio{partition="1"}': 0.25,
      'tidemark_rejected_share_alarm{partition="1"}': 1,
      tidemark_restore_duration_seconds_sum: 0.2,
      'tidemark_flush_duration_seconds_bucket{le="0.025"}': 0,
      'tidemark_flush_duration_seconds_bucket{le="0.05"}': 1,
    })
  })

  it('has no series any more when it is gone, also when its former owner still speaks', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.assigned([1, 2])
    const speak = () => {
      metrics.restored(1, 5, 5)
      metrics.live(1, 1)
      metrics.observed([reading(1, 9)])
      metrics.delivered(1, capture(9, [], null), 1)
      metrics.failed(1, 'fenced')
      metrics.corruptBatch(1, 'waiting')
      metrics.rejectedShare(1, 0.5, true)
    }
    speak()
    const partitionsNow = async () => {
      const names = Object.keys(await seriesOf(metrics))
      return [...new Set(names.flatMap(name => /partition="(\d+)"/.exec(name)?.[1] ?? []))].sort()
    }
    expect(await partitionsNow()).toEqual(['1', '2'])
    metrics.assigned([2])
    expect(await partitionsNow()).toEqual(['2'])
    speak()
    expect(await partitionsNow()).toEqual(['2'])
  })

  it('counts what is processed, also what is read again after a restore', async () => {
    const metrics = createMetrics('reduce', '1')
    metrics.assigned([1, 2])
    metrics.restored(1, 1_000, 1_020)
    metrics.restored(2, 7, null)
    metrics.observed([reading(1, 1_030), reading(2, 7)])
    metrics.observed([reading(1, 1_050), reading(2, 8)])
    metrics.failed(1, 'delivery_failed')
    metrics.restored(1, 1_040, 1_040)
    metrics.observed([reading(1, 1_060)])
    expect(await seriesOf(metrics)).toMatchObject({
      tidemark_processed_offsets_total: 71,
      'tidemark_partition_live{partition="1"}': 0,
      'tidemark_restarts_total{code="delivery_failed"}': 1,
    })
  })

  it('counts an unreadable batch once, however often it is tried', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.assigned([1])
    const now = async () => {
      const series = await seriesOf(metrics)
      return [series.tidemark_corrupt_batches_total, series['tidemark_partition_corrupt_batch_waiting{partition="1"}']]
    }
    expect(await now()).toEqual([0, 0])
    for (let i = 0; i < 3; i++) metrics.corruptBatch(1, 'waiting')
    expect(await now()).toEqual([1, 1])
    metrics.corruptBatch(1, 'skipped')
    expect(await now()).toEqual([1, 0])
    metrics.corruptBatch(1, 'skipped')
    expect(await now()).toEqual([2, 0])
    metrics.corruptBatch(1, 'over')
    expect(await now()).toEqual([2, 0])
  })
})

it('notices are counted by kind, rejections by the tally alone, and unknown failures as other', async () => {
  const metrics = createMetrics('aggregate', '1')
  metrics.noticed({ kind: 'rejected', offset: 1, code: 'not_json' })
  metrics.noticed({ kind: 'gap', from: 1, to: 2 })
  metrics.failed(0, 'something new')
  const series = await seriesOf(metrics)
  expect(series).toMatchObject({ 'tidemark_notices_total{kind="gap"}': 1, 'tidemark_restarts_total{code="other"}': 1 })
  expect(Object.keys(series).filter(name => name.includes('kind="rejected"') || name.includes('new'))).toEqual([])
})

describe('what the tasks tell', () => {
  const level = (size: string, provisional: number, final: number, finalEndMs: number | null) => ({
    size,
    byStatus: { provisional, final, corrected: 0 },
    finalEndMs,
    sources: new Map(size === '10s' ? [[0, finalEndMs ?? 0]] : []),
  })
  const at = (partition: number, task: NonNullable<PartitionReading['task']>) => ({ ...reading(partition, 1), task })

  it('of an aggregator: open windows, and the chunks of one task after the other', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.assigned([1, 2])
    metrics.observed([at(1, { windows: 4, chunks: 1 }), at(2, { windows: 0, chunks: 2 })])
    metrics.observed([at(1, { windows: 5, chunks: 4 }), at(2, { windows: 0, chunks: 1 })])
    expect(await seriesOf(metrics)).toMatchObject({
      'tidemark_partition_windows{partition="1"}': 5,
      'tidemark_partition_windows{partition="2"}': 0,
      tidemark_chunks_total: 7,
    })
    metrics.assigned([2])
    expect(await seriesOf(metrics)).not.toHaveProperty(['tidemark_partition_windows{partition="1"}'])
  })

  it('of a reducer: windows by size and status, what is final, and how far each source has told', async () => {
    const metrics = createMetrics('reduce', '1', String, ['10s', '1m'])
    expect(await seriesOf(metrics)).toMatchObject({
      'tidemark_reduced_windows{size="1m",status="corrected"}': 0,
      'tidemark_results_total{size="10s",status="corrected"}': 0,
    })
    metrics.assigned([0, 1, 2, 3])
    metrics.observed([
      at(0, { windows: 3, reduced: level('10s', 2, 1, 60_000) }),
      at(1, { windows: 3, reduced: level('10s', 3, 0, 50_000) }),
      at(2, { windows: 1, reduced: level('1m', 1, 0, 120_000) }),
      at(3, { windows: 0, reduced: level('1m', 0, 0, null) }),
    ])
    const series = await seriesOf(metrics)
    expect(series).toMatchObject({
      'tidemark_reduced_windows{size="10s",status="provisional"}': 5,
      'tidemark_reduced_windows{size="10s",status="final"}': 1,
      'tidemark_reduced_windows{size="1m",status="provisional"}': 1,
      'tidemark_newest_final_timestamp_seconds{size="10s"}': 50,
      'tidemark_source_clock_timestamp_seconds{source="0"}': 50,
    })
    expect(series).not.toHaveProperty(['tidemark_newest_final_timestamp_seconds{size="1m"}'])
    metrics.assigned([])
    metrics.observed([])
    const after = Object.keys(await seriesOf(metrics))
    expect(after.filter(name => /newest_final|source_clock/.test(name))).toEqual([])
  })

  it('results are counted once they are committed', async () => {
    const metrics = createMetrics('reduce', '1', String, ['10s'])
    metrics.assigned([0])
    const told = { size: '10s', provisional: 3, final: 2, corrected: 1 }
    metrics.delivered(0, { ...capture(9, ['results'], null), told }, 0.1)
    metrics.delivered(0, { ...capture(9, ['results'], null), told }, 0.1)
    expect(await seriesOf(metrics)).toMatchObject({
      'tidemark_results_total{size="10s",status="provisional"}': 6,
      'tidemark_results_total{size="10s",status="final"}': 4,
      'tidemark_results_total{size="10s",status="corrected"}': 2,
    })
  })

  it('the bytes of partials are those of their UTF-8', async () => {
    const metrics = createMetrics('aggregate', '1')
    const partial = (value: string | Uint8Array) => ({ topic: 'partials', partition: 0, key: 'k', value }) as const
    const enriched = { topic: 'enriched', partition: null, key: 'k', value: '1234567' } as const
    const stages = [[partial('é'), enriched], [partial(new Uint8Array(5))]]
    metrics.delivered(0, { ...capture(1, [], null), stages }, 0.1)
    expect(await seriesOf(metrics)).toMatchObject({ tidemark_partial_bytes_total: 7 })
  })
})

describe('what the clients of the brokers tell', () => {
  it('is 0 from the start, by name', async () => {
    const series = await seriesOf(createMetrics('reduce', '1'))
    expect(series).toMatchObject({
      'tidemark_transactions_total{outcome="committed"}': 0,
      'tidemark_transactions_total{outcome="fenced"}': 0,
      'tidemark_transactions_total{outcome="failed"}': 0,
      'tidemark_kafka_request_duration_seconds_count{api="EndTxn"}': 0,
      'tidemark_kafka_request_timeouts_total{api="Fetch"}': 0,
      tidemark_commit_duration_seconds_count: 0,
      tidemark_rebalance_duration_seconds_count: 0,
    })
  })

  it('is counted, requests without a name of their own together', async () => {
    const metrics = createMetrics('aggregate', '1')
    metrics.kafka.request('Fetch', 0.2)
    metrics.kafka.request('DescribeQuorum', 0.2)
    metrics.kafka.requestTimedOut('Produce')
    metrics.kafka.transaction('fenced')
    metrics.kafka.committed(0.3, null)
    metrics.kafka.rebalanced(3)
    const series = await seriesOf(metrics)
    expect(series).toMatchObject({
      'tidemark_kafka_request_duration_seconds_sum{api="Fetch"}': 0.2,
      'tidemark_kafka_request_duration_seconds_count{api="other"}': 1,
      'tidemark_kafka_request_timeouts_total{api="Produce"}': 1,
      'tidemark_transactions_total{outcome="fenced"}': 1,
      tidemark_commit_duration_seconds_sum: 0.3,
      tidemark_rebalance_duration_seconds_sum: 3,
    })
    expect(Object.keys(series).filter(name => name.includes('DescribeQuorum'))).toEqual([])
  })
})
