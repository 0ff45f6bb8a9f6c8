import { expect, it } from 'vitest'
import { topicPlan } from '../../src/kafka/topics.ts'
import { settingsOf } from './support/environment.ts'
import { describeWithTools, FULL_NAME, type KubeObject, render } from './support/helm.ts'

const TOPICS = { strimzi: { cluster: 'events', topics: { enabled: true } } }

/** Settings on which the topics depend. */
const SETTINGS: Readonly<Record<string, object>> = {
  'the defaults': {},
  'three copies, more partitions': {
    kafka: { topics: { replicationFactor: 3, partitions: 48, partialsPartitions: 8 } },
  },
  'a second generation with other windows': {
    config: { STREAM_GENERATION: 2, WINDOW_SIZE: '5s', ROLLUPS: '5m,1h', SLIDING_WINDOWS: '10m/1m' },
  },
  'no roll-ups': { config: { ROLLUPS: 'none' } },
  'long lateness and large events': {
    config: { ALLOWED_LATENESS: '10m', CORRECTION_HORIZON: '1h', MAX_EVENT_BYTES: '4MiB', USER_SAMPLE_SIZE: 1300 },
  },
}

describeWithTools("Strimzi's topics", () => {
  it.each(Object.entries(SETTINGS))('are those that `tidemark topics` would create: %s', async (_name, values) => {
    const rendering = await render({ ...TOPICS, ...values })
    const [pod] = rendering.pods() as [KubeObject]
    const planned = topicPlan(settingsOf(rendering, pod)).map(({ name, partitions, replicationFactor, config }) => ({
      name,
      partitions,
      replicas: replicationFactor,
      config,
    }))
    const topics = rendering.ofKind('KafkaTopic').map(({ spec }) => ({
      name: spec.topicName,
      partitions: spec.partitions,
      replicas: spec.replicas,
      config: spec.config,
    }))
    const byName = (one: { name: string }, other: { name: string }) => (one.name < other.name ? -1 : 1)
    expect(topics.toSorted(byName)).toEqual(planned.toSorted(byName))
  })

  it('stay when the release goes: they hold the data', async () => {
    for (const { metadata } of (await render(TOPICS)).ofKind('KafkaTopic')) {
      expect(metadata.annotations['helm.sh/resource-policy']).toBe('keep')
      expect(metadata.labels['strimzi.io/cluster']).toBe('events')
    }
  })
})

describeWithTools("Strimzi's users", () => {
  const users = (authentication: string) => ({
    strimzi: { cluster: 'events', topics: { enabled: true }, users: { enabled: true, authentication } },
    sink: { enabled: true, embedded: true },
    generator: { enabled: true },
    audit: { enabled: true },
  })

  it('there is one for each role, and each signs in as itself', async () => {
    const rendering = await render(users('scram-sha-512'))
    const roles = ['aggregate', 'audit', 'generate', 'prepare', 'reduce', 'serve', 'sink', 'test']
    const names = rendering.ofKind('KafkaUser').map(({ metadata }) => metadata.name)
    expect(names.toSorted()).toEqual(roles.map(role => `${FULL_NAME}-${role}`))
    for (const pod of rendering.pods()) {
      const { sasl } = settingsOf(rendering, pod).kafka
      const user = `${FULL_NAME}-${pod.metadata.labels['app.kubernetes.io/component']}`
      expect(sasl).toMatchObject({ username: user, password: `${user}/password` })
    }
  })

  it('no role but the generator and the probe may write the source, and none may do everything', async () => {
    const rendering = await render(users('tls'))
    const writers = rendering.ofKind('KafkaUser').filter(({ spec }) =>
      spec.authorization.acls.some(({ resource, operations }: KubeObject) => {
        expect(operations).not.toContain('All')
        return resource.name === 'user-login' && operations.includes('Write')
      }),
    )
    expect(writers.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      `${FULL_NAME}-generate`,
      `${FULL_NAME}-test`,
    ])
  })

  it('a topic is named by its name alone: a prefix would let in those of others', async () => {
    const acls = (await render(users('tls'))).ofKind('KafkaUser').flatMap(({ spec }) => spec.authorization.acls)
    const prefixed = acls.filter(({ resource }: KubeObject) => resource.patternType === 'prefix')
    expect(new Set(prefixed.map(({ resource }: KubeObject) => resource.type))).toEqual(new Set(['transactionalId']))
  })
})
