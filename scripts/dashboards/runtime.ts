import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './dashboard.ts'
import { runbook, to } from './links.ts'
import { series } from './parts.ts'
import { kube, queriesOf } from './query.ts'
import { podVariable } from './variables.ts'

const { of, rate, quantile, process } = queriesOf('pods')

/** What the processes cost, and what is slow. */
export function runtime(): Dashboard {
  return dashboardOf({
    name: 'runtime',
    title: 'Tidemark: runtime',
    description: 'What is slow, and what the processes need: flushes, Kafka, the database, the API, memory, CPU.',
    variables: [podVariable()],
    sections: [
      { title: 'Flushes and restores', panels: flushes() },
      { title: 'Kafka', panels: kafka() },
      { title: 'Database and API', panels: outside() },
      { title: 'Processes', panels: processes() },
    ],
  })
}

function flushes() {
  return [
    series({
      title: 'Duration of flushes',
      description:
        'From the capture of outputs to their commit (sink: a transaction of the database). Half take less than p50, all but one in a hundred less than p99. Points are traces of single flushes, where tracing is on.',
      queries: [
        { expr: quantile(0.5, 'flush_duration_seconds', '', 'role'), legend: '{{role}} p50' },
        { expr: quantile(0.99, 'flush_duration_seconds', '', 'role'), legend: '{{role}} p99', exemplars: true },
      ],
      unit: 's',
      width: 12,
      steps: ['green', [5, 'red']],
      links: [runbook('TidemarkSlowFlush'), runbook('TidemarkSlowDatabase')],
    }),
    series({
      title: 'Duration of commits',
      description:
        'The last part of a flush. Slow commits and fast flushes otherwise: the coordinator of the group or of the transactions is busy.',
      queries: [
        { expr: quantile(0.5, 'commit_duration_seconds', '', 'role'), legend: '{{role}} p50' },
        { expr: quantile(0.99, 'commit_duration_seconds', '', 'role'), legend: '{{role}} p99' },
      ],
      unit: 's',
      width: 12,
      links: [runbook('TidemarkSlowFlush')],
    }),
    series({
      title: 'Duration of restores',
      description:
        'From the moment a partition comes to a process until its outputs flow. It is bounded by one chunk of the log.',
      queries: [
        { expr: quantile(0.5, 'restore_duration_seconds', '', 'role'), legend: '{{role}} p50' },
        { expr: quantile(0.99, 'restore_duration_seconds', '', 'role'), legend: '{{role}} p99' },
      ],
      unit: 's',
      width: 8,
      links: [to('partitions', 'By partition'), runbook('TidemarkPartitionNotLive')],
    }),
    series({
      title: 'Duration of rebalances',
      description:
        'From the wish to join until the group has assigned, the last flush of the old assignment included. Nothing is processed meanwhile.',
      queries: [{ expr: quantile(0.99, 'rebalance_duration_seconds', '', 'role'), legend: '{{role}} p99' }],
      unit: 's',
      width: 8,
      links: [runbook('TidemarkRebalanceStorm')],
    }),
    series({
      title: 'Transactions that did not commit',
      description:
        'In five minutes. fenced: another process owns the partition now, as after a rebalance. failed: the brokers abort it, and the partition is restored.',
      queries: [
        {
          expr: `sum by (role, outcome) (increase(${of('transactions_total', 'outcome!="committed"')}[5m]))`,
          legend: '{{role}} {{outcome}}',
        },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkRestarts')],
    }),
  ]
}

function kafka() {
  return [
    series({
      title: 'Requests to Kafka, p99',
      description:
        'By what is asked. Fetch waits at the broker until there are records, so long ones only mean that there are few.',
      queries: [
        {
          expr: `${quantile(0.99, 'kafka_request_duration_seconds', 'api!~"Fetch|JoinGroup"', 'api')} > 0`,
          legend: '{{api}}',
        },
      ],
      unit: 's',
      width: 8,
      links: [runbook('TidemarkSlowFlush')],
    }),
    series({
      title: 'Requests without an answer',
      description: 'Requests in five minutes that no broker answered in time. Any at all: look at the brokers.',
      queries: [
        {
          expr: `sum by (role, api) (increase(${of('kafka_request_timeouts_total')}[5m])) > 0`,
          legend: '{{role}} {{api}}',
        },
      ],
      unit: 'short',
      width: 8,
    }),
    series({
      title: 'State thrown away',
      description:
        'Restores after an error, in five minutes, by the code of the error. unreachable and delivery_failed: the brokers; other: see the log.',
      queries: [
        { expr: `sum by (role, code) (increase(${of('restarts_total')}[5m])) > 0`, legend: '{{role}} {{code}}' },
        { expr: `sum(increase(${of('read_failures_total')}[5m])) > 0`, legend: 'serve reads' },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkRestarts')],
    }),
  ]
}

function outside() {
  return [
    series({
      title: 'Database',
      description: 'Rows written and calls that failed, per second.',
      queries: [
        { expr: `sum(${rate('sink_rows_written_total')})`, legend: 'rows' },
        { expr: `sum(${rate('database_errors_total')})`, legend: 'failed calls' },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkDatabaseDown')],
    }),
    series({
      title: 'Requests to the API by status',
      description: 'Per second. 5xx: the API fails; 503: it has not read all results yet.',
      queries: [{ expr: `sum by (status) (${rate('http_requests_total')})`, legend: '{{status}}' }],
      unit: 'reqps',
      width: 8,
      stacked: true,
      links: [runbook('TidemarkApiErrors')],
    }),
    series({
      title: 'Requests to the API, p99',
      description: 'From the head of a request to the end of its answer, by path.',
      queries: [
        {
          expr: quantile(0.99, 'http_request_duration_seconds', '', 'route'),
          legend: '{{route}}',
        },
      ],
      unit: 's',
      width: 8,
    }),
  ]
}

const PROCESSES = '{{role}} {{pod}}'
const CONTAINERS = 'pod=~"$pod",container=~"aggregate|reduce|sink|serve"'

function processes() {
  return [...memory(), ...work()]
}

function memory() {
  return [
    series({
      title: 'Memory',
      description:
        'What each process holds (resident), and the least limit of its containers. Near the limit the aggregators flush early; past it the container is ended.',
      queries: [
        { expr: process('process_resident_memory_bytes'), legend: PROCESSES },
        {
          expr: `min by (container) (${kube('kube_pod_container_resource_limits', `resource="memory",${CONTAINERS}`)})`,
          legend: 'limit of {{container}}',
        },
      ],
      unit: 'bytes',
      width: 8,
    }),
    series({
      title: 'Heap',
      description: 'What JavaScript uses of that. A floor that rises for hours is a leak.',
      queries: [{ expr: process('nodejs_heap_size_used_bytes'), legend: PROCESSES }],
      unit: 'bytes',
      width: 8,
    }),
    series({
      title: 'Outside of the heap',
      description: 'Buffers, mostly batches of records that were fetched and are not processed yet.',
      queries: [{ expr: process('nodejs_external_memory_bytes'), legend: PROCESSES }],
      unit: 'bytes',
      width: 8,
    }),
  ]
}

function work() {
  return [
    series({
      title: 'CPU',
      description:
        'Cores that each process uses. A fold uses one core at most: at 1 it can do no more, and more pods help.',
      queries: [{ expr: `rate(${process('process_cpu_seconds_total')}[$__rate_interval])`, legend: PROCESSES }],
      unit: 'none',
      width: 8,
    }),
    series({
      title: 'Delay of the event loop, p99',
      description:
        'How late timers are. Above a second, heartbeats come late and the group thinks that the process is gone.',
      queries: [{ expr: process('nodejs_eventloop_lag_p99_seconds'), legend: PROCESSES }],
      unit: 's',
      width: 8,
      steps: ['green', [1, 'red']],
    }),
    series({
      title: 'Garbage collection',
      description: 'The share of time that goes into it. Above a tenth: give the process more memory.',
      queries: [
        {
          expr: `sum by (role, pod) (rate(${process('nodejs_gc_duration_seconds_sum')}[$__rate_interval]))`,
          legend: PROCESSES,
        },
      ],
      unit: 'percentunit',
      width: 8,
      steps: ['green', [0.1, 'red']],
    }),
    series({
      title: 'Open files',
      description: 'Sockets to the brokers for the most part. A line that only rises is a leak.',
      queries: [{ expr: process('process_open_fds'), legend: PROCESSES }],
      unit: 'short',
      width: 12,
    }),
    series({
      title: 'Containers that were started again',
      description:
        'In fifteen minutes, by pod: a process that crashed or did not answer /livez. The log before it says why; exit code 3 means that it refuses to start.',
      queries: [
        {
          expr: `sum by (pod) (increase(${kube('kube_pod_container_status_restarts_total', CONTAINERS)}[15m])) > 0`,
          legend: '{{pod}}',
        },
      ],
      unit: 'short',
      width: 12,
      links: [runbook('TidemarkPodRestarts')],
    }),
  ]
}
