import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './dashboard.ts'
import { runbook, to } from './links.ts'
import { NONE_WANTED, series, stat } from './parts.ts'
import { kube, queriesOf } from './query.ts'

const { of, rate, happened } = queriesOf('pipeline')

const AUDITS = 'job_name=~".*-audit-.*"'

/** Whether the numbers are right and whole, and if not, which are not and why. */
export function windows(): Dashboard {
  return dashboardOf({
    name: 'windows',
    title: 'Tidemark: windows and correctness',
    description:
      'Are the numbers right and whole? A window is provisional while logins still come, final once all partitions have passed its end, and corrected if a login came after all.',
    sections: [
      { title: 'Is everything counted?', panels: verdicts() },
      { title: 'What holds windows up', panels: watermark() },
      { title: 'Windows and results', panels: results() },
      { title: 'What was not counted, and why', panels: uncounted() },
      { title: 'What readers get', panels: readers() },
    ],
  })
}

function verdicts() {
  const counted = (title: string, description: string, expr: string, ...alerts: readonly string[]) => {
    const links = alerts.map(runbook)
    return stat({ title, description, queries: [{ expr }], unit: 'short', width: 4, steps: NONE_WANTED, links })
  }
  return [
    counted(
      'Gaps',
      'In the time shown: how often logins were deleted before they were counted. Results of these windows say exact: false and name the offsets (coverage.gaps).',
      happened('notices_total', 'kind="gap"'),
      'TidemarkGap',
    ),
    counted(
      'Partials too late',
      'In the time shown: partial counts that came after their window was given up. Their logins are in no result.',
      happened('notices_total', 'kind="partial_too_late"'),
      'TidemarkPartialsTooLate',
    ),
    counted(
      'Unreadable batches',
      'In the time shown: record batches that could not be read, those that were skipped included.',
      happened('corrupt_batches_total'),
      'TidemarkCorruptBatch',
    ),
    counted(
      'Foreign records',
      'In the time shown: records in the internal topics or among the results that Tidemark did not write. They are left out; somebody else writes there.',
      `${happened('notices_total', 'kind="foreign_record"')} + ${happened('sink_foreign_records_total')}`,
    ),
    counted(
      'Failed audits',
      'Audits of the chart that are kept and failed. An audit counts windows again from the source topic, by other code: a failure means a difference, or a log that no longer reaches back. The log of its pod says which. Empty where no audit is switched on.',
      `sum(${kube('kube_job_status_failed', AUDITS)})`,
      'TidemarkAuditFailed',
    ),
    stat({
      title: 'Last audit that went well',
      description: 'How long ago an audit found what the results say. Empty where no audit is switched on.',
      queries: [{ expr: `time() - max(${kube('kube_cronjob_status_last_successful_time', 'cronjob=~".*-audit"')})` }],
      unit: 's',
      width: 4,
      steps: ['green', [86_400, 'orange']],
    }),
  ]
}

function watermark() {
  return [
    series({
      title: 'What each source has told, behind the clock on the wall',
      description:
        'For each source partition, how old the event time is up to which the reducers know all of it. The highest line holds up every window: look at that partition.',
      queries: [
        {
          expr: `time() - max by (source) (${of('source_clock_timestamp_seconds')})`,
          legend: '{{source}}',
        },
      ],
      unit: 's',
      width: 12,
      links: [to('partitions', 'That partition', 'aggregate'), runbook('TidemarkWatermarkStalled')],
    }),
    series({
      title: 'Age of the newest final window',
      description:
        'For each size of window, how long ago the newest final one ended: a saw whose teeth are as high as the window is long, on top of ALLOWED_LATENESS. A line that only climbs: the watermark stands.',
      queries: [
        {
          expr: `time() - min by (size) (${of('newest_final_timestamp_seconds', 'role="reduce"')} > 0)`,
          legend: '{{size}}',
        },
      ],
      unit: 's',
      width: 12,
      links: [runbook('TidemarkWatermarkStalled')],
    }),
  ]
}

function results() {
  return [
    series({
      title: 'Windows held by the reducers',
      description:
        'By size and by the status of their next result. Final ones are kept for CORRECTION_HORIZON, so that a late partial can still correct them.',
      queries: [{ expr: `sum by (size, status) (${of('reduced_windows')})`, legend: '{{size}} {{status}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
    }),
    series({
      title: 'Results written',
      description: 'Per second, by size and status. A size without any final result over its own length: see above.',
      queries: [{ expr: `sum by (size, status) (${rate('results_total')})`, legend: '{{size}} {{status}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
      links: [runbook('TidemarkNoResults')],
    }),
    series({
      title: 'Corrections',
      description:
        'Results that had been final and were told again with other numbers, in five minutes. They come when a partition goes on after it was proven idle, or was away for long.',
      queries: [
        {
          expr: `sum by (size) (increase(${of('results_total', 'status="corrected"')}[5m]))`,
          legend: '{{size}}',
        },
      ],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkCorrections')],
    }),
    series({
      title: 'Records sent',
      description: 'Records written and committed per second, by what they are.',
      queries: [{ expr: `sum by (role, output) (${rate('sent_records_total')})`, legend: '{{role}}: {{output}}' }],
      unit: 'short',
      width: 8,
    }),
    series({
      title: 'Bytes of partials',
      description:
        'What aggregators and reducers write to the internal topics, per second. It goes with windows and distinct values, hardly with logins.',
      queries: [{ expr: `sum by (role) (${rate('partial_bytes_total')})`, legend: '{{role}}' }],
      unit: 'Bps',
      width: 8,
    }),
    series({
      title: 'Chunks begun',
      description:
        'Chunks of 65,536 offsets, in five minutes. A partial covers one chunk at most; a new owner reads at most one again.',
      queries: [{ expr: `sum(increase(${of('chunks_total')}[5m]))`, legend: 'chunks' }],
      unit: 'short',
      width: 8,
    }),
  ]
}

function uncounted() {
  return [
    series({
      title: 'Rejected logins by reason',
      description:
        'Per second, by the code that also stands in the header error.code of the dead letter. tidemark dlq list --code shows the letters.',
      queries: [{ expr: `sum by (code) (${rate('rejected_events_total')}) > 0`, legend: '{{code}}' }],
      unit: 'short',
      width: 8,
      stacked: true,
      links: [to('partitions', 'By partition', 'aggregate'), runbook('TidemarkManyRejections')],
    }),
    series({
      title: 'Share that is late or rejected',
      description: 'Of all logins. Late ones depend on ALLOWED_LATENESS and on how punctual the producers are.',
      queries: [
        {
          expr: `sum by (outcome) (${rate('events_total', 'outcome!="accepted"')}) / ignoring (outcome) group_left () sum(${rate('events_total')})`,
          legend: '{{outcome}}',
        },
      ],
      unit: 'percentunit',
      width: 8,
    }),
    series({
      title: 'Notices',
      description:
        'What people should hear of, in five minutes: gap and partial_too_late lose logins; parked windows are only put off; foreign records are not ours.',
      queries: [{ expr: `sum by (kind) (increase(${of('notices_total')}[5m]))`, legend: '{{kind}}' }],
      unit: 'short',
      width: 8,
      links: [runbook('TidemarkGap'), runbook('TidemarkPartialsTooLate')],
    }),
  ]
}

function readers() {
  return [
    series({
      title: 'Windows that the API holds',
      description: 'By size. The oldest leave when their retention is over.',
      queries: [{ expr: `max by (size) (${of('windows_held')})`, legend: '{{size}}' }],
      unit: 'short',
      width: 8,
    }),
    series({
      title: 'Age of the newest window that the API holds',
      description: 'How long ago the newest window ended of which there is any result. Below zero while it still runs.',
      queries: [
        {
          expr: `time() - max by (size) (${of('newest_window_timestamp_seconds')} > 0)`,
          legend: '{{size}}',
        },
      ],
      unit: 's',
      width: 8,
    }),
    series({
      title: 'Results that the API read',
      description: 'Per second, by what became of them: kept, old (a better one is known), removed, or foreign.',
      queries: [{ expr: `sum by (outcome) (${rate('result_records_total')})`, legend: '{{outcome}}' }],
      unit: 'short',
      width: 8,
    }),
  ]
}
