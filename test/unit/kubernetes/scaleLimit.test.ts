import { expect, it } from 'vitest'
import { limitChange, MAX_REPLICAS_RULE } from '../../../src/kubernetes/scaleLimit.ts'

const scaledObject = (spec: object, annotations?: object) => ({ metadata: annotations && { annotations }, spec })

it.each([
  ['up with added partitions', { maxReplicaCount: 4 }, 12, { from: 4, to: 12 }],
  ['down to a smaller topic', { maxReplicaCount: 12 }, 4, { from: 12, to: 4 }],
  ['not when it is right', { maxReplicaCount: 12 }, 12, null],
  ["from KEDA's default", {}, 12, { from: 100, to: 12 }],
  ['not below the least number of replicas', { minReplicaCount: 3, maxReplicaCount: 3 }, 2, null],
  ['not without a topic', { maxReplicaCount: 4 }, null, null],
  ['not by an answer that cannot be', { maxReplicaCount: 4 }, 0, null],
])('the limit goes %s', (_, spec, partitions, wanted) => {
  expect(limitChange(scaledObject(spec), partitions)).toEqual(wanted)
})

it.each(['fixed', 'something newer'])('an operator’s own limit is left alone: %s', rule => {
  expect(limitChange(scaledObject({ maxReplicaCount: 4 }, { [MAX_REPLICAS_RULE]: rule }), 12)).toBe(null)
})

it('an object without metadata or spec is read as KEDA reads it', () => {
  expect(limitChange({}, 12)).toEqual({ from: 100, to: 12 })
})
