/**
 * Which suite makes which alert fire by its real cause, as each of them checks of itself. Together they are all alerts of
 * the chart's rules: alerts.test.ts checks that.
 */
export const FIRED_FOR_REAL = {
  alerts: [
    'TidemarkNotConsuming',
    'TidemarkLagGrows',
    'TidemarkPartitionNotLive',
    'TidemarkPartitionStalled',
    'TidemarkCorruptBatch',
    'TidemarkWatermarkStalled',
    'TidemarkNoResults',
    'TidemarkSlowFlush',
    'TidemarkRebalanceStorm',
    'TidemarkRestarts',
    'TidemarkManyRejections',
    'TidemarkGap',
    'TidemarkPartialsTooLate',
    'TidemarkCorrections',
  ],
  database: ['TidemarkSinkBehind', 'TidemarkSlowDatabase', 'TidemarkDatabaseDown', 'TidemarkSinkRefuses'],
  api: ['TidemarkApiErrors'],
  kubernetes: ['TidemarkPodRestarts', 'TidemarkAuditFailed', 'TidemarkScalingAtMaximum'],
} as const satisfies Readonly<Record<string, readonly string[]>>
