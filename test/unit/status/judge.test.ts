import { expect, test } from 'vitest'
import { answered, problemsOf } from '../../../src/status/judge.ts'
import type { ScalerStatus, StatusReport } from '../../../src/status/report.ts'
import { clusterState, fine, OFF, partition, pod } from './support.ts'

const [scaler] = clusterState().scalers as [ScalerStatus]
const [workload] = clusterState().workloads
const reducer = {
  level: '1m',
  topic: 'partials-1m',
  partition: 2,
  position: 1,
  end: 2,
  lag: 1,
  finalThrough: null,
  owner: 'red-a',
  fault: null,
}
const condition = (type: string, status: string, reason: string, message = '') => ({ type, status, reason, message })

test('nothing is wrong where all is well, up to the limit', () => {
  expect(problemsOf(fine({ reducers: [reducer] }), 10)).toEqual([])
})

test.each<[string, Partial<StatusReport>, string]>([
  ['lag', { partitions: [partition({ lag: 11 })] }, 'source partition 0: a lag of 11, above 10'],
  ['no owner', { partitions: [partition({ owner: null })] }, 'source partition 0: nobody owns it'],
  [
    'a gap',
    { partitions: [partition({ gaps: [[10, 20]] })] },
    'source partition 0: offsets 10 to 19 were gone before they were read',
  ],
  ['a commit', { partitions: [partition({ fault: 'the commit' })] }, 'source partition 0: the commit'],
  ["a reducer's lag", { reducers: [{ ...reducer, lag: 50 }] }, 'partials partition 1m/2: a lag of 50, above 10'],
  ["a reducer's owner", { reducers: [{ ...reducer, owner: null }] }, 'partials partition 1m/2: nobody owns it'],
  [
    'a pod',
    { pods: [pod('agg-a', { ready: false, reason: 'CrashLoopBackOff' })] },
    'pod agg-a is not ready (CrashLoopBackOff)',
  ],
  [
    'a pod without a reason',
    { pods: [pod('agg-a', { ready: false, phase: 'Pending' })] },
    'pod agg-a is not ready (Pending)',
  ],
  [
    'a Deployment',
    { workloads: [{ ...workload!, ready: 1 }] },
    'Deployment tidemark-aggregate: 1 of 2 replicas are ready',
  ],
  [
    'a scaler',
    { scalers: [{ ...scaler, conditions: [condition('Ready', 'False', 'TriggerError', 'no broker')] }] },
    'ScaledObject tidemark-aggregate: Ready is False: no broker',
  ],
  [
    'a fallback',
    { scalers: [{ ...scaler, conditions: [condition('Fallback', 'True', 'FallbackExists')] }] },
    'ScaledObject tidemark-aggregate cannot read the lag and holds its fallback',
  ],
  ['nothing known', { partitions: [partition({ lag: null })] }, 'the lag of no partition is known'],
  ['no partitions', { partitions: [] }, 'the lag of no partition is known'],
])('%s is told', (_, changes, problem) => {
  expect(problemsOf(fine(changes), 10)).toEqual([problem])
})

test.each<[string, Partial<StatusReport>]>([
  ['a pod that ends', { pods: [pod('agg-a', { ready: false, terminating: true })] }],
  ['an owner that cannot be known', { partitions: [partition({ owner: undefined })] }],
  [
    'a scaler that is paused',
    { scalers: [{ ...scaler, paused: 'as it is', conditions: [condition('ScalingActive', 'False', '')] }] },
  ],
  [
    'a scaler whose target is at 0',
    { scalers: [{ ...scaler, conditions: [condition('ScalingActive', 'False', 'ScalingDisabled')] }] },
  ],
  ['idleness of triggers', { scalers: [{ ...scaler, conditions: [condition('Active', 'False', 'ScalerNotActive')] }] }],
])('%s is no fault', (_, changes) => {
  expect(problemsOf(fine(changes), 10)).toEqual([])
})

test('a report without any side has no answer', () => {
  const { sides } = fine()
  expect(answered(fine())).toBe(true)
  expect(answered(fine({ sides: { ...sides, kafka: OFF } }))).toBe(true)
  expect(
    answered(fine({ sides: { ...sides, kafka: OFF, kubernetes: { state: 'failed', at: 'x', reason: 'y' } } })),
  ).toBe(false)
})
