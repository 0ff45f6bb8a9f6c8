import { expect, it } from 'vitest'
import { describeWithTools, refusal, type Values } from './support/helm.ts'

const SASL = { mechanism: 'scram-sha-512', username: 'tide', existingSecret: 'login' }

/** What a person may write, and what of the answer tells them what is wrong and what to do. */
const REFUSED: readonly (readonly [name: string, values: Values, told: readonly string[]])[] = [
  [
    'more aggregators than partitions',
    { aggregate: { replicas: 13 } },
    ['aggregate.replicas is 13', 'kafka.topics.partitions is 12', 'Allowed is at most 12'],
  ],
  [
    'more reducers than partitions of the partials',
    { reduce: { replicas: 5 } },
    ['reduce.replicas is 5', 'kafka.topics.partialsPartitions is 4', 'Allowed is at most 4'],
  ],
  [
    'more sinks than partitions of the results',
    { sink: { enabled: true, replicas: 5, database: { existingSecret: 'db' } } },
    ['sink.replicas is 5', 'Allowed is at most 4'],
  ],
  [
    'KEDA beyond the partitions',
    { autoscaling: { keda: { enabled: true, aggregate: { maxReplicas: 20 } } } },
    ['autoscaling.keda.aggregate.maxReplicas is 20', 'Allowed is at most 12'],
  ],
  [
    'the least above the most',
    { autoscaling: { keda: { enabled: true, reduce: { minReplicas: 3, maxReplicas: 2 } } } },
    ['autoscaling.keda.reduce.minReplicas is 3', 'at most maxReplicas, 2'],
  ],
  [
    'an HPA beside KEDA',
    {
      autoscaling: { keda: { enabled: true }, hpa: { aggregate: { enabled: true } } },
      aggregate: { resources: { requests: { cpu: 1 } } },
    },
    ['autoscaling.hpa.aggregate.enabled and autoscaling.keda.aggregate.enabled are both on', 'Switch one off'],
  ],
  [
    'an HPA without a request to compare with',
    { autoscaling: { hpa: { serve: { enabled: true } } } },
    ['serve.resources.requests.cpu is not given', 'Set it'],
  ],
  [
    'SASL without its secret',
    { kafka: { sasl: { ...SASL, existingSecret: '' } } },
    ['kafka.sasl.existingSecret is not given', 'password'],
  ],
  ['SASL without a user', { kafka: { sasl: { ...SASL, username: '' } } }, ['kafka.sasl.username is not given']],
  [
    'a user without a mechanism',
    { kafka: { sasl: { ...SASL, mechanism: '' } } },
    ['kafka.sasl.mechanism is empty', 'scram-sha-512'],
  ],
  [
    'a mechanism that there is not',
    { kafka: { sasl: { ...SASL, mechanism: 'scram' } } },
    ['mechanism', 'scram-sha-256'],
  ],
  [
    'secrets of a TLS that is off',
    { kafka: { tls: { existingSecret: 'login' } } },
    ['kafka.tls.enabled is false', 'set it to true'],
  ],
  [
    'half of a certificate',
    { kafka: { tls: { enabled: true, existingSecret: 'login', certKey: 'user.crt' } } },
    ['kafka.tls.certKey and kafka.tls.keyKey go together'],
  ],
  [
    'oauthbearer, of which KEDA knows no token',
    {
      kafka: { sasl: { mechanism: 'oauthbearer', existingSecret: 'login' } },
      autoscaling: { keda: { enabled: true } },
    },
    ['oauthbearer', 'autoscaling.keda.authenticationRef.name'],
  ],
  ['a sink without a database', { sink: { enabled: true } }, ['sink.database.existingSecret', 'sink.embedded=true']],
  [
    'two databases',
    { sink: { enabled: true, embedded: true, database: { existingSecret: 'db' } } },
    ['sink.embedded is true and sink.database.existingSecret is db'],
  ],
  [
    'two embedded databases',
    { sink: { enabled: true, embedded: true, replicas: 2 } },
    ['sink.replicas is 2 with sink.embedded', 'Allowed is 1'],
  ],
  [
    'an API that is ended before its last answers',
    { serve: { preStopSleepSeconds: 25 } },
    ['serve.terminationGracePeriodSeconds is 30', 'at least 35'],
  ],
  [
    'two scrapes of each pod',
    { metrics: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } } },
    ['metrics.podMonitor.enabled and metrics.serviceMonitor.enabled are both on'],
  ],
  ['Strimzi without its cluster', { strimzi: { topics: { enabled: true } } }, ['strimzi.cluster is not given']],
  ['an unknown key', { aggregate: { replicsa: 2 } }, ['aggregate', 'replicsa']],
  ['an unknown key at the top', { kafak: {} }, ['kafak']],
  ['an unknown setting', { config: { WINDOW_SIZ: '5s' } }, ['config', 'WINDOW_SIZ']],
  ['a setting that a value sets', { config: { KAFKA_BROKERS: 'a:1' } }, ['config', 'KAFKA_BROKERS']],
  ['a secret among the settings', { config: { KAFKA_SASL_PASSWORD: 'hunter2' } }, ['config', 'KAFKA_SASL_PASSWORD']],
  ['a broker without a port', { kafka: { brokers: 'kafka' } }, ['kafka.brokers']],
  ['a name that is no topic', { kafka: { topics: { source: 'user login' } } }, ['source']],
  ['no partitions', { kafka: { topics: { partitions: 0 } } }, ['partitions', '1']],
  ['a text for a number', { aggregate: { replicas: '2' } }, ['replicas', 'integer']],
]

describeWithTools('values that cannot work are refused with what is wrong and what to do', () => {
  it.each(REFUSED)('%s', async (_name, values, told) => {
    const message = await refusal(values)
    for (const part of told) expect(withoutPunctuation(message)).toContain(withoutPunctuation(part))
    // A person must find the reason: no message of Go's about a template's line alone.
    expect(message.length).toBeLessThan(2_000)
  })

  it.each([
    ['KEDA', { autoscaling: { keda: { enabled: true } } }, 'autoscaling.keda.enabled is on'],
    ['the Prometheus operator', { metrics: { podMonitor: { enabled: true } } }, 'metrics.podMonitor.enabled is on'],
    [
      'the Strimzi operator',
      { strimzi: { cluster: 'events', topics: { enabled: true } } },
      'strimzi.topics.enabled is on',
    ],
  ])('objects of %s where the cluster does not know them', async (operator, values, told) => {
    const message = await refusal(values, { knownKinds: [] })
    expect(message).toContain(told)
    expect(message).toContain(`install ${operator} first`)
  })

  it('everything that is wrong is told at once', async () => {
    const message = await refusal({ aggregate: { replicas: 13 }, reduce: { replicas: 5 }, sink: { enabled: true } })
    expect(message.match(/^ {2}- /gm)).toHaveLength(3)
  })

  it('no message shows a secret', async () => {
    const message = await refusal({ config: { KAFKA_SASL_PASSWORD: 'hunter2' } })
    expect(message).not.toContain('hunter2')
  })
})

/** The schema's messages write paths with slashes or dots, by the version of Helm's library. */
function withoutPunctuation(text: string): string {
  return text.replaceAll(/['"/]/g, '.')
}
