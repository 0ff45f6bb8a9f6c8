import { describe, expect, it } from 'vitest'
import { describeWithTools, FULL_NAME, NAMESPACE, render } from './support/helm.ts'

const KEDA = { autoscaling: { keda: { enabled: true } } }

describeWithTools('without autoscaling', () => {
  it('the values tell the replicas', async () => {
    const rendering = await render({ aggregate: { replicas: 3 }, reduce: { replicas: 2 }, serve: { replicas: 4 } })
    const replicas = (component: string) => rendering.get('Deployment', component).spec.replicas
    expect(['aggregate', 'reduce', 'serve'].map(replicas)).toEqual([3, 2, 4])
    for (const kind of ['ScaledObject', 'HorizontalPodAutoscaler', 'TriggerAuthentication']) {
      expect(rendering.ofKind(kind)).toEqual([])
    }
    expect(rendering.env('Deployment', 'aggregate')).not.toHaveProperty('KUBERNETES_SCALED_OBJECT')
  })
})

describeWithTools('KEDA', () => {
  it('scales the two stages, and no one else tells their replicas: an upgrade would set them back', async () => {
    const rendering = await render(KEDA)
    expect(rendering.ofKind('ScaledObject').map(({ metadata }) => metadata.name)).toEqual([
      `${FULL_NAME}-aggregate`,
      `${FULL_NAME}-reduce`,
    ])
    for (const component of ['aggregate', 'reduce']) {
      expect(rendering.get('Deployment', component).spec).not.toHaveProperty('replicas')
      expect(rendering.get('ScaledObject', component).spec.scaleTargetRef).toEqual({
        name: `${FULL_NAME}-${component}`,
      })
    }
    expect(rendering.get('Deployment', 'serve').spec.replicas).toBe(1)
    expect(rendering.env('Deployment', 'aggregate').KUBERNETES_SCALED_OBJECT).toBe(`${FULL_NAME}-aggregate`)
    expect(rendering.env('Deployment', 'reduce')).not.toHaveProperty('KUBERNETES_SCALED_OBJECT')
  })

  it('looks at the lag as the groups have it', async () => {
    const rendering = await render({ ...KEDA, kafka: { brokers: 'kafka.events.svc:9092', consumerGroup: 'marks' } })
    const { spec } = rendering.get('ScaledObject', 'aggregate')
    expect(spec).toMatchObject({ pollingInterval: 15, minReplicaCount: 1, maxReplicaCount: 12 })
    expect(spec.triggers).toEqual([
      {
        type: 'kafka',
        metadata: {
          bootstrapServers: 'kafka.events.svc:9092',
          consumerGroup: 'marks-aggregate',
          topic: 'user-login',
          lagThreshold: '1000',
          activationLagThreshold: '0',
          // As the consumers begin: otherwise a group that never committed counts as having no lag.
          offsetResetPolicy: 'earliest',
          // A pod beyond the partitions would have nothing to read.
          allowIdleConsumers: 'false',
          scaleToZeroOnInvalidOffset: 'false',
          // A partition whose commit did not move between two looks is exactly the one that needs help.
          excludePersistentLag: 'false',
          limitToPartitionsWithLag: 'false',
        },
      },
    ])
    const reduce = rendering.get('ScaledObject', 'reduce').spec
    expect(reduce.maxReplicaCount).toBe(4)
    expect(reduce.triggers[0].metadata).toMatchObject({ consumerGroup: 'marks-reduce', topic: 'login-partials' })
  })

  it('finds brokers of the release by their full name: its operator looks from another namespace', async () => {
    const trigger = async (brokers: string) => {
      const rendering = await render({ ...KEDA, kafka: { brokers } })
      return rendering.get('ScaledObject', 'aggregate').spec.triggers[0].metadata.bootstrapServers
    }
    expect(await trigger('kafka:9092')).toBe(`kafka.${NAMESPACE}.svc:9092`)
    expect(await trigger('kafka.example.org:9092,10.0.0.1:9092')).toBe('kafka.example.org:9092,10.0.0.1:9092')
  })

  it('never asks for more pods than there are partitions', async () => {
    const topics = { partitions: 30, partialsPartitions: 6 }
    const rendering = await render({ ...KEDA, kafka: { topics } })
    expect(rendering.get('ScaledObject', 'aggregate').spec.maxReplicaCount).toBe(30)
    expect(rendering.get('ScaledObject', 'reduce').spec.maxReplicaCount).toBe(6)
  })

  it('takes the threshold from what a pod can do in the time that is wanted', async () => {
    const keda = { enabled: true, capacity: { eventsPerSecondPerPod: 40_000, targetDrainSeconds: 60 } }
    const rendering = await render({ autoscaling: { keda } })
    const threshold = (component: string) =>
      rendering.get('ScaledObject', component).spec.triggers[0].metadata.lagThreshold
    // As text without an exponent: KEDA reads an integer.
    expect(threshold('aggregate')).toBe('2400000')
    expect(threshold('reduce')).toBe('1000')
  })

  it('follows a new generation to its groups and its internal topic, and stays with the source', async () => {
    const rendering = await render({ ...KEDA, config: { STREAM_GENERATION: 2 } })
    const metadata = (component: string) => rendering.get('ScaledObject', component).spec.triggers[0].metadata
    expect(metadata('aggregate')).toMatchObject({ consumerGroup: 'tidemark-aggregate-g2', topic: 'user-login' })
    expect(metadata('reduce')).toMatchObject({ consumerGroup: 'tidemark-reduce-g2', topic: 'login-partials-g2' })
  })

  it('scales up at once, down calmly, and never down in the dark', async () => {
    const { spec } = (await render(KEDA)).get('ScaledObject', 'aggregate')
    expect(spec.fallback).toEqual({ failureThreshold: 3, replicas: 1, behavior: 'currentReplicasIfHigher' })
    const { scaleUp, scaleDown } = spec.advanced.horizontalPodAutoscalerConfig.behavior
    expect(scaleUp.stabilizationWindowSeconds).toBe(0)
    expect(scaleDown.stabilizationWindowSeconds).toBe(300)
  })

  it('can be switched off for one of the stages', async () => {
    const rendering = await render({ autoscaling: { keda: { enabled: true, reduce: { enabled: false } } } })
    expect(rendering.find('ScaledObject', 'reduce')).toBeUndefined()
    expect(rendering.get('Deployment', 'reduce').spec.replicas).toBe(1)
  })

  it('is paused by annotations', async () => {
    const annotations = { 'autoscaling.keda.sh/paused': 'true' }
    const rendering = await render({ autoscaling: { keda: { enabled: true, annotations } } })
    expect(rendering.get('ScaledObject', 'aggregate').metadata.annotations).toEqual(annotations)
  })

  describe('signs in as the pods do', () => {
    it('with nothing where the brokers ask for nothing', async () => {
      const rendering = await render(KEDA)
      expect(rendering.ofKind('TriggerAuthentication')).toEqual([])
      expect(rendering.get('ScaledObject', 'aggregate').spec.triggers[0]).not.toHaveProperty('authenticationRef')
    })

    it.each([
      ['plain', 'plaintext'],
      ['scram-sha-256', 'scram_sha256'],
      ['scram-sha-512', 'scram_sha512'],
    ])('%s, which KEDA calls %s, over TLS', async (mechanism, name) => {
      const sasl = { mechanism, username: 'tide', existingSecret: 'login' }
      const tls = { enabled: true, existingSecret: 'login', certKey: 'user.crt', keyKey: 'user.key' }
      const rendering = await render({ ...KEDA, kafka: { sasl, tls } })
      const [trigger] = rendering.get('ScaledObject', 'aggregate').spec.triggers
      expect(trigger.metadata).toMatchObject({ sasl: name, tls: 'enable' })
      expect(trigger.authenticationRef).toEqual({ name: FULL_NAME })
      const { spec } = rendering.get('TriggerAuthentication')
      expect(spec.secretTargetRef).toEqual([
        { parameter: 'ca', name: 'login', key: 'ca.crt' },
        { parameter: 'cert', name: 'login', key: 'user.crt' },
        { parameter: 'key', name: 'login', key: 'user.key' },
        { parameter: 'password', name: 'login', key: 'password' },
      ])
      // From the scaled workload's own environment, where it is no secret.
      expect(spec.env).toEqual([{ parameter: 'username', name: 'KAFKA_SASL_USERNAME' }])
      expect(rendering.env('Deployment', 'aggregate').KAFKA_SASL_USERNAME).toBe('tide')
    })

    it('or as you say', async () => {
      const authenticationRef = { name: 'mine', kind: 'ClusterTriggerAuthentication' }
      const rendering = await render({ autoscaling: { keda: { enabled: true, authenticationRef } } })
      expect(rendering.get('ScaledObject', 'reduce').spec.triggers[0].authenticationRef).toEqual(authenticationRef)
      expect(rendering.ofKind('TriggerAuthentication')).toEqual([])
    })
  })
})

describeWithTools('an HPA', () => {
  const resources = { requests: { cpu: '250m' } }

  it('scales the API on CPU, and its replicas are left to it', async () => {
    const rendering = await render({ autoscaling: { hpa: { serve: { enabled: true } } }, serve: { resources } })
    const { spec } = rendering.get('HorizontalPodAutoscaler', 'serve')
    expect(spec.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: `${FULL_NAME}-serve` })
    expect([spec.minReplicas, spec.maxReplicas]).toEqual([2, 6])
    expect(spec.metrics[0].resource).toEqual({ name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } })
    expect(rendering.get('Deployment', 'serve').spec).not.toHaveProperty('replicas')
  })

  it('can stand in for KEDA, up to the partitions', async () => {
    const values = { autoscaling: { hpa: { aggregate: { enabled: true } } }, aggregate: { resources } }
    const rendering = await render(values)
    expect(rendering.get('HorizontalPodAutoscaler', 'aggregate').spec.maxReplicas).toBe(12)
    expect(rendering.get('Deployment', 'aggregate').spec).not.toHaveProperty('replicas')
  })
})
