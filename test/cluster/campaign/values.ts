/** The partitions of the source topic in the campaign: the most aggregators that KEDA may ask for. */
export const PARTITIONS = 6

/** What one aggregator takes a second, and what the load is: three could just not hold it, six can. */
export const EVENTS_PER_POD = 600
export const LOAD_PER_SECOND = 2_100

/**
 * The settings of the campaign, for the chart and for what runs beside the cluster. Windows close soon, so that each phase
 * can be judged at its end, and are kept for long: a phase's outage must not make the reducer forget windows whose
 * events are still under way.
 */
export const CONFIG: Readonly<Record<string, string>> = {
  WINDOW_SIZE: '10s',
  ROLLUPS: '1m',
  ALLOWED_LATENESS: '5s',
  CORRECTION_HORIZON: '15m',
  IDLE_TIMEOUT: '2s',
  FLUSH_INTERVAL: '500ms',
  EMIT_INTERVAL: '1s',
  SESSION_TIMEOUT: '6s',
  MAX_EVENTS_PER_SECOND: String(EVENTS_PER_POD),
}

/** A setting of the config hash, changed: nothing may go on from what was committed under the other. */
export const OTHER_HASH = { ALLOWED_LATENESS: '7s' } as const

/** The environment of what runs beside the cluster and must see the topics as the pods do. */
export function outsideEnv(brokers: string): Readonly<Record<string, string>> {
  return { ...CONFIG, SOURCE_PARTITIONS: String(PARTITIONS), PARTIALS_PARTITIONS: '2', KAFKA_BROKERS: brokers }
}

const SMALL = { requests: { cpu: '10m', memory: '96Mi' }, limits: { memory: '512Mi' } }

/** The chart's values. The HPA goes up at once, and down half a minute after it could: both within a phase. */
export function chartValues(repository: string, tag: string, brokers: string): object {
  const behavior = {
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Pods', value: PARTITIONS, periodSeconds: 5 }],
    },
    scaleDown: {
      stabilizationWindowSeconds: 30,
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodSeconds: 5 }],
    },
  }
  return {
    image: { repository, tag },
    kafka: { brokers, topics: { partitions: PARTITIONS, partialsPartitions: 2 } },
    config: CONFIG,
    autoscaling: { keda: { enabled: true, pollingInterval: 3, behavior } },
    aggregate: { resources: SMALL },
    reduce: { resources: SMALL },
    serve: { resources: SMALL },
    prepare: { resources: SMALL },
    tests: { resources: SMALL },
  }
}
