import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './dashboard.ts'
import { runbook, to } from './links.ts'
import { series, table, timeline, words } from './parts.ts'
import { queriesOf } from './query.ts'
import { podVariable, roleVariable } from './variables.ts'

const { of, rate } = queriesOf('pods')
const ROLE = 'role="$role"'
/** In a rebalance two processes may tell the same partition for a moment. */
const BY_PARTITION = 'max by (partition)'

const LIVE = words({ 0: ['rebuilding', 'orange'], 1: ['running', 'green'] })
const WAITING = words({ 0: ['no', 'green'], 1: ['waits', 'red'] })

/** One page for the question which partition it is. */
export function partitions(): Dashboard {
  return dashboardOf({
    name: 'partitions',
    title: 'Tidemark: partitions',
    description:
      'Each partition that the chosen role reads: who has it, how far it is, and whether it runs. All roles have partitions of the same numbers, of different topics.',
    variables: [podVariable(), roleVariable()],
    sections: [
      { title: 'Now', panels: [everyPartition(), running()] },
      { title: 'How far', panels: howFar() },
      { title: 'Who has them, and for how long', panels: owners() },
      { title: 'What is rejected', panels: rejected() },
    ],
  })
}

function everyPartition() {
  const last = (expr: string) => `max by (partition, pod) (${expr})`
  return table({
    title: 'Every partition',
    description:
      'A row for each partition and the pod that has it. Lag: offsets that wait. Behind: how old the event time is that it has reached (aggregate and reduce only). Uncommitted: processed, to be committed by the next flush.',
    width: 14,
    labels: ['partition', 'pod'],
    columns: [
      { title: 'State', expr: last(of('partition_live', ROLE)), unit: 'short', mappings: LIVE },
      {
        title: 'Lag',
        expr: last(of('partition_lag_records', ROLE)),
        unit: 'short',
        steps: ['green', [10_000, 'orange'], [100_000, 'red']],
      },
      { title: 'Behind', expr: last(`time() - ${of('partition_clock_timestamp_seconds', ROLE)}`), unit: 's' },
      { title: 'Position', expr: last(of('partition_position', ROLE)), unit: 'none' },
      {
        title: 'Uncommitted',
        expr: last(`${of('partition_position', ROLE)} - ${of('partition_committed_offset', ROLE)}`),
        unit: 'short',
      },
      { title: 'Windows', expr: last(of('partition_windows', ROLE)), unit: 'short' },
      {
        title: 'Unreadable batch',
        expr: last(of('partition_corrupt_batch_waiting', ROLE)),
        unit: 'short',
        mappings: WAITING,
      },
    ],
    links: [runbook('TidemarkPartitionNotLive'), runbook('TidemarkCorruptBatch')],
  })
}

function running() {
  return timeline({
    title: 'Running or rebuilding',
    description:
      'A new owner of a partition rebuilds its state by reading at most one chunk again, then it runs. A partition that stays orange, or that changes again and again, needs somebody.',
    queries: [{ expr: `${BY_PARTITION} (${of('partition_live', ROLE)})`, legend: '{{partition}}' }],
    unit: 'short',
    width: 10,
    mappings: LIVE,
    links: [runbook('TidemarkPartitionNotLive'), runbook('TidemarkRestarts')],
  })
}

function howFar() {
  return [
    series({
      title: 'Lag',
      description:
        'Offsets between the position and the end of the log. One line above the others: that partition has more to do or stands still. All of them: too few processes.',
      queries: [{ expr: `${BY_PARTITION} (${of('partition_lag_records', ROLE)})`, legend: '{{partition}}' }],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkLagGrows')],
    }),
    series({
      title: 'Behind the clock on the wall',
      description:
        'How old the event time is that a partition has reached. It follows the logins, so it grows in a partition without any; that one is idle when its lag is zero.',
      queries: [
        {
          expr: `${BY_PARTITION} (time() - ${of('partition_clock_timestamp_seconds', ROLE)})`,
          legend: '{{partition}}',
        },
      ],
      unit: 's',
      width: 8,
      links: [to('windows', 'What the reducers wait for')],
    }),
    series({
      title: 'Offsets per second',
      description: 'How fast the position moves. Zero with a lag: the partition stands still.',
      queries: [
        {
          expr: `${BY_PARTITION} (deriv(${of('partition_position', ROLE)}[$__rate_interval]))`,
          legend: '{{partition}}',
        },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkPartitionStalled')],
    }),
    series({
      title: 'Uncommitted offsets',
      description:
        'Processed, but not yet committed: a flush commits about once a second. Growing without end: flushes do not get through to the brokers.',
      queries: [
        {
          expr: `${BY_PARTITION} (${of('partition_position', ROLE)} - ${of('partition_committed_offset', ROLE)})`,
          legend: '{{partition}}',
        },
      ],
      unit: 'short',
      width: 12,
      links: [to('runtime', 'Flushes'), runbook('TidemarkSlowFlush')],
    }),
    series({
      title: 'Windows held',
      description: 'Windows in memory. In a reducer at MAX_WINDOWS the furthest ahead are parked: slower, still exact.',
      queries: [{ expr: `${BY_PARTITION} (${of('partition_windows', ROLE)})`, legend: '{{partition}}' }],
      unit: 'short',
      width: 12,
    }),
  ]
}

function owners() {
  return [
    series({
      title: 'Partitions by pod',
      description: 'How many partitions each pod has. A pod with none waits for more partitions than there are.',
      queries: [{ expr: `sum by (pod) (${of('assigned_partitions', ROLE)})`, legend: '{{pod}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
    }),
    series({
      title: 'Rebalances',
      description:
        'Assignments that the group gave out, in five minutes. Each pod that comes or goes makes one for every member; without that, members lose their sessions.',
      queries: [{ expr: `sum by (role) (increase(${of('rebalances_total', ROLE)}[5m]))`, legend: '{{role}}' }],
      unit: 'short',
      width: 8,
      links: [to('runtime', 'How long they take'), runbook('TidemarkRebalanceStorm')],
    }),
    series({
      title: 'State thrown away',
      description:
        'How often a partition was restored after an error, in five minutes, by the code of the error. fenced and unassigned belong to a rebalance; the others are told in the log.',
      queries: [{ expr: `sum by (code) (increase(${of('restarts_total', ROLE)}[5m]))`, legend: '{{code}}' }],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkRestarts')],
    }),
  ]
}

function rejected() {
  return [
    series({
      title: 'Share of rejected logins',
      description:
        'By source partition, over REJECTED_SHARE_WINDOW. One partition alone: one producer. The alarm is at REJECTED_SHARE.',
      queries: [{ expr: `${BY_PARTITION} (${of('rejected_share_ratio')})`, legend: '{{partition}}' }],
      unit: 'percentunit',
      width: 12,
      links: [to('windows', 'By reason'), runbook('TidemarkManyRejections')],
    }),
    series({
      title: 'Offsets processed per pod',
      description: 'What each pod gets done, those read again by a new owner included.',
      queries: [{ expr: `sum by (pod) (${rate('processed_offsets_total', ROLE)})`, legend: '{{pod}}' }],
      unit: 'short',
      width: 12,
      stacked: true,
    }),
  ]
}
