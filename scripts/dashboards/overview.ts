import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './dashboard.ts'
import { runbook, to } from './links.ts'
import { NONE_WANTED, series, stat } from './parts.ts'
import { kube, queriesOf } from './query.ts'

const { of, rate, happened } = queriesOf('pipeline')

const WATERMARK_DELAY = `time() - min(${of('partition_clock_timestamp_seconds', 'role="reduce"')})`
const REJECTED_SHARE = `sum(${rate('events_total', 'outcome="rejected"')}) / sum(${rate('events_total')})`

/** The first page: is it keeping up, and is any number incomplete? */
export function overview(): Dashboard {
  return dashboardOf({
    name: 'overview',
    title: 'Tidemark: overview',
    description: 'Is it keeping up, is any number incomplete, and who is at work? All of it green: nothing to be done.',
    sections: [
      { title: 'Is it keeping up?', panels: [...keepingUp(), ...flows()] },
      { title: 'Is any number incomplete?', panels: incomplete() },
      { title: 'Results on their way', panels: results() },
      { title: 'Who is at work?', panels: replicas() },
    ],
  })
}

function keepingUp() {
  return [
    stat({
      title: 'Logins per second',
      description: 'Login events that the aggregators take up: accepted, late and rejected ones together.',
      queries: [{ expr: `sum(${rate('events_total')})` }],
      unit: 'short',
      width: 4,
    }),
    stat({
      title: 'Lag',
      description:
        'Logins that wait in the source topic. A level that stays is only delay; one that grows means that there are too few aggregators, or that one stands still.',
      queries: [{ expr: `sum(${of('partition_lag_records', 'role="aggregate"')})` }],
      unit: 'short',
      width: 4,
      steps: ['green', [100_000, 'orange'], [1_000_000, 'red']],
      links: [to('partitions', 'By partition', 'aggregate'), runbook('TidemarkLagGrows')],
    }),
    stat({
      title: 'Watermark delay',
      description:
        'How far behind the clock on the wall is the event time that all source partitions have passed. A window turns final when the watermark has passed its end and ALLOWED_LATENESS, so one slow partition holds up all windows. A silent partition does not: it is proven idle.',
      queries: [{ expr: WATERMARK_DELAY }],
      unit: 's',
      width: 4,
      steps: ['green', [120, 'orange'], [600, 'red']],
      links: [to('windows', 'Which source holds it up'), runbook('TidemarkWatermarkStalled')],
    }),
    stat({
      title: 'Rejected',
      description:
        'The share of logins that entered no window since they are not well-formed. They are in the dead-letter topic, each with its reason. Some is usual; a jump is mostly a new release of whoever writes them.',
      queries: [{ expr: REJECTED_SHARE }],
      unit: 'percentunit',
      width: 4,
      steps: ['green', [0.01, 'orange'], [0.05, 'red']],
      links: [to('windows', 'By reason'), runbook('TidemarkManyRejections')],
    }),
    stat({
      title: 'Partitions that do not run',
      description:
        'Partitions that somebody owns but whose state is still being rebuilt. A few seconds after each rebalance are as it should be.',
      queries: [{ expr: `count(${of('partition_live')} == 0) or vector(0)` }],
      unit: 'short',
      width: 4,
      steps: NONE_WANTED,
      links: [to('partitions', 'Which'), runbook('TidemarkPartitionNotLive')],
    }),
    stat({
      title: 'Database behind',
      description: 'Results that wait to be written to the database. Empty where no sink runs.',
      queries: [{ expr: `sum(${of('partition_lag_records', 'role="sink"')})` }],
      unit: 'short',
      width: 4,
      steps: ['green', [10_000, 'orange'], [100_000, 'red']],
      links: [to('partitions', 'By partition', 'sink'), runbook('TidemarkSinkBehind')],
    }),
  ]
}

function flows() {
  return [
    series({
      title: 'Logins by what became of them',
      description:
        'Accepted ones are in a window. Late ones came when theirs took no more, rejected ones are not well-formed: both are dead letters.',
      queries: [{ expr: `sum by (outcome) (${rate('events_total')})`, legend: '{{outcome}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
    }),
    series({
      title: 'Lag by role',
      description:
        'Records that wait: of the source topic (aggregate), of the partials (reduce), of the results (sink, serve). Look first at the first role whose lag grows.',
      queries: [{ expr: `sum by (role) (${of('partition_lag_records')})`, legend: '{{role}}' }],
      unit: 'short',
      width: 8,
      links: [to('partitions', 'By partition'), runbook('TidemarkLagGrows')],
    }),
    series({
      title: 'Watermark delay',
      description: 'The number above over time. A line that climbs at one second a second: a partition stands still.',
      queries: [{ expr: WATERMARK_DELAY, legend: 'watermark' }],
      unit: 's',
      width: 8,
      links: [to('windows', 'Which source holds it up'), runbook('TidemarkWatermarkStalled')],
    }),
  ]
}

function incomplete() {
  const counted = (title: string, description: string, expr: string, alert: string) =>
    stat({
      title,
      description,
      queries: [{ expr }],
      unit: 'short',
      width: 4,
      steps: NONE_WANTED,
      links: [runbook(alert)],
    })
  return [
    counted(
      'Gaps',
      'In the time shown: how often logins had been deleted from the source topic before they were counted. The results of those windows say exact: false, and coverage.gaps which offsets.',
      happened('notices_total', 'kind="gap"'),
      'TidemarkGap',
    ),
    counted(
      'Partials too late',
      'In the time shown: partial counts that came after their window was given up (CORRECTION_HORIZON). Their logins are in no result; the dead letters (partial_too_late) say which.',
      happened('notices_total', 'kind="partial_too_late"'),
      'TidemarkPartialsTooLate',
    ),
    counted(
      'Unreadable batches',
      'Partitions that stand still at a record batch that cannot be read. Nothing is lost while they wait.',
      `sum(${of('partition_corrupt_batch_waiting')})`,
      'TidemarkCorruptBatch',
    ),
    counted(
      'Refused by the database',
      'In the time shown: results that the database would not take. They are still in the topic of results.',
      happened('sink_refused_results_total'),
      'TidemarkSinkRefuses',
    ),
    stat({
      title: 'Late logins',
      description:
        'The share that came after its window was closed. If it is more than you like: raise ALLOWED_LATENESS.',
      queries: [{ expr: `sum(${rate('events_total', 'outcome="late"')}) / sum(${rate('events_total')})` }],
      unit: 'percentunit',
      width: 4,
      steps: ['green', [0.01, 'orange'], [0.05, 'red']],
      links: [to('windows', 'Over time')],
    }),
    stat({
      title: 'Corrections',
      description:
        'In the time shown: results that were final and were told again with other numbers. They are right; who had read them before has to read them again.',
      queries: [{ expr: happened('results_total', 'status="corrected"') }],
      unit: 'short',
      width: 4,
      steps: ['green', [1, 'orange']],
      links: [to('windows', 'By size of the window'), runbook('TidemarkCorrections')],
    }),
  ]
}

function results() {
  return [
    series({
      title: 'Results written',
      description:
        'Results per second by their status: provisional while logins still come, final once, corrected if a login came after all. No final ones at all: the watermark stands.',
      queries: [{ expr: `sum by (status) (${rate('results_total')})`, legend: '{{status}}' }],
      unit: 'short',
      width: 8,
      links: [to('windows', 'By size of the window'), runbook('TidemarkNoResults')],
    }),
    series({
      title: 'Age of the newest final window',
      description:
        'For each size, how long ago the newest final window ended. It rises until the next one is final: a saw whose teeth are as high as the window is long, on top of ALLOWED_LATENESS.',
      queries: [
        {
          expr: `time() - min by (size) (${of('newest_final_timestamp_seconds', 'role="reduce"')} > 0)`,
          legend: '{{size}}',
        },
      ],
      unit: 's',
      width: 8,
    }),
    series({
      title: 'Rows written to the database',
      description: 'Rows of windows that changed, per second. Zero while results come: see whether the database is up.',
      queries: [
        { expr: `sum(${rate('sink_rows_written_total')})`, legend: 'rows' },
        { expr: `sum(${rate('database_errors_total')})`, legend: 'failed calls' },
      ],
      unit: 'short',
      width: 8,
      links: [to('runtime', 'Database'), runbook('TidemarkDatabaseDown')],
    }),
  ]
}

function replicas() {
  return [
    series({
      title: 'Processes by role',
      description: 'Processes that Prometheus reaches. More aggregators than source partitions have nothing to do.',
      queries: [{ expr: `count by (role) (${of('build_info')})`, legend: '{{role}}' }],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkNotConsuming')],
    }),
    series({
      title: 'Wanted and ready pods',
      description:
        'What each Deployment wants and what is ready of it, and the most that the autoscaler may ask for. Wanted at the most and a lag that still grows: more partitions or bigger pods. Empty outside of Kubernetes.',
      queries: [
        { expr: kube('kube_deployment_spec_replicas', DEPLOYMENTS), legend: '{{deployment}} wanted' },
        { expr: kube('kube_deployment_status_replicas_ready', DEPLOYMENTS), legend: '{{deployment}} ready' },
        {
          expr: kube('kube_horizontalpodautoscaler_spec_max_replicas', AUTOSCALERS),
          legend: '{{horizontalpodautoscaler}} at most',
        },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkScalingAtMaximum')],
    }),
    series({
      title: 'Versions',
      description: 'Processes by the version that they run. Two at once: an upgrade is under way, or has got stuck.',
      queries: [{ expr: `count by (version) (${of('build_info')})`, legend: '{{version}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
    }),
  ]
}

const DEPLOYMENTS = 'deployment=~".*-(aggregate|reduce|sink|serve)"'
const AUTOSCALERS = 'horizontalpodautoscaler=~".*-(aggregate|reduce|sink|serve)"'
