import picocolors from 'picocolors'
import { describe, expect, test } from 'vitest'
import { problemsOf } from '../../../src/status/judge.ts'
import { mergeStatus } from '../../../src/status/merge.ts'
import { newestOf } from '../../../src/status/newestResults.ts'
import { renderStatus } from '../../../src/status/render.ts'
import type { StatusReport } from '../../../src/status/report.ts'
import { tableLines } from '../../../src/status/table.ts'
import { aResult } from '../results/factory.ts'
import { ABOUT, at, clusterState, fine, kafkaState, OFF, partition, pod, sides } from './support.ts'

const PLAIN = picocolors.createColors(false)
const ESCAPE = String.fromCharCode(27)

const result = aResult('10s', Date.parse(at(40)), { status: 'provisional', current_time: at(1), exact: false })
const value = kafkaState({ newest: newestOf([result], ['10s']), notes: ['letters: no answer'] })
const REPORT = mergeStatus(ABOUT, sides({ kafka: { state: 'answered', at: 'kafka:9092', value } }))

const text = (report: StatusReport, width = 160) => renderStatus(report, [], { colors: PLAIN, width })

test('a whole report', () => {
  expect(renderStatus(REPORT, problemsOf(REPORT, 20), { colors: PLAIN, width: 160 })).toBe(`\
Tidemark 1.2.3  generation 1  2026-01-31T08:00:00Z
● kubernetes  namespace default
● kafka       kafka:9092
○ pods        not asked: not here

Deployments
name                role       wanted  current  ready  updated
tidemark-aggregate  aggregate       2        2      2        2

Scaling
kind          name                min  max  current  desired  lag/replica  state
ScaledObject  tidemark-aggregate    1   12        2        2         1000  active

Pods
name   role       ready  restarts  age  owns  cost  node
agg-a  aggregate  yes           0   5m     1   100  node-1
agg-b  aggregate  yes           0   5m     1     -  node-1

Source partitions
p  position  end  lag  clock                 state              accepted  late  rejected  owner
0       100  100    0  2026-01-31T07:59:55Z  idle, seen 2s ago        97     1         2  agg-a
1        50   80   30  2026-01-31T07:59:55Z  gap 10-19                47     1         2  agg-b

Partials partitions
level  p  position  end  lag  final to              state    owner
10s    0        40   41    1  2026-01-31T07:59:30Z  running  laptop

Last results
size  start                 status       events  exact  revision  written
10s   2026-01-31T07:59:20Z  provisional      10  no           10  2026-01-31T07:59:59Z

totals: accepted 144, late 2, rejected 4 (not_json 4)
dead letters: letters holds 6 offsets, markers of transactions included

note: kafka: letters: no answer

wrong: source partition 1: a lag of 30, above 20
wrong: source partition 1: offsets 10 to 19 were gone before they were read
`)
})

test('a narrow terminal has fewer columns, and no line that is longer', () => {
  const lines = text(REPORT, 60).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'p  lag  state              accepted  owner',
      '1   30  gap 10-19                47  agg-b',
    ]),
  )
  const tables = lines.slice(
    5,
    lines.findIndex(line => line.startsWith('totals')),
  )
  expect(tables.filter(line => line.length > 60)).toEqual([])
})

test('what cannot be reached is said in a line, and the rest is shown', () => {
  const failed = { state: 'failed', at: 'kafka:9092', reason: 'no broker answers' } as const
  const report = fine({ sides: { ...fine().sides, kafka: failed }, scalers: [], pods: [], workloads: [] })
  expect(text(report)).toBe(`\
Tidemark 1.2.3  generation 1  2026-01-31T08:00:00Z
● kubernetes  namespace default
✗ kafka       kafka:9092: no broker answers
○ pods        not asked: not here

Source partitions
p  position  end  lag  clock                 state    accepted  late  rejected  owner
0        90  100   10  2026-01-31T07:59:55Z  running        87     1         2  agg-a
`)
  const { sides: none } = mergeStatus(ABOUT, { kubernetes: OFF, kafka: failed, pods: OFF })
  expect(text(fine({ sides: none, partitions: [], scalers: [], pods: [], workloads: [] })).split('\n')).toHaveLength(5)
})

test.each([
  [pod('a', { ready: false, reason: 'ImagePullBackOff' }), 'a     aggregate  no (ImagePullBackOff)'],
  [pod('a', { ready: false, phase: 'Pending' }), 'a     aggregate  no (Pending)'],
  [pod('a', { ready: false, terminating: true }), 'a     aggregate  ending'],
])('pods that are not ready say why', (given, line) => {
  expect(text(fine({ pods: [given] }))).toContain(line)
})

test.each([
  [partition({ owner: null }), '2  nobody'],
  [partition({ owner: undefined }), '2  -'],
  [partition({ lag: 0 }), 'caught up'],
  [partition({ lag: null, position: null, end: null }), '0         -    -    -'],
  [partition({ fault: 'the commit is not ours' }), 'the commit is not ours'],
  // It may have been idle before more came.
  [partition({ lag: 3, idleSince: at(9) }), 'running'],
])('partitions in every state', (given, part) => {
  expect(text(fine({ partitions: [given] }))).toContain(part)
})

describe('scaling', () => {
  const [scaler] = clusterState().scalers
  const state = (changes: object) => {
    const lines = text(fine({ scalers: [{ ...scaler!, ...changes }] })).split('\n')
    return lines[lines.indexOf('Scaling') + 2]
  }
  const condition = (type: string, status: string) => ({ type, status, reason: 'Because', message: '' })

  test.each([
    [{ paused: 'at 3 replicas' }, 'paused at 3 replicas'],
    [{ conditions: [condition('Ready', 'False')] }, 'not Ready (Because)'],
    [{ conditions: [condition('Fallback', 'True'), condition('ScalingLimited', 'True')] }, 'fallback, at its limit'],
    [{ conditions: [condition('Ready', 'True'), condition('Active', 'False')] }, 'ready'],
    [{ conditions: [] }, '-'],
  ])('%o', (changes, told) => {
    expect(state(changes)).toMatch(new RegExp(`1000  ${told.replace(/[()]/g, '\\$&')}$`))
  })

  test('an HPA of its own has no lag', () => {
    expect(state({ kind: 'HorizontalPodAutoscaler', lagThreshold: null, current: null })).toMatch(
      /^HPA .* - +2 +- {2}active$/,
    )
  })
})

test('colours are laid over the text, and change nothing of it', () => {
  const painted = renderStatus(REPORT, ['x'], { colors: picocolors.createColors(true), width: 160 })
  expect(painted).toContain(`${ESCAPE}[31mwrong:${ESCAPE}[39m`)
  const bare = painted.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')
  expect(bare.replaceAll(/ +$/gm, '')).toBe(renderStatus(REPORT, ['x'], { colors: PLAIN, width: 160 }))
})

describe('tables', () => {
  const columns = [{ head: 'name' }, { head: 'n', right: true, drop: 2 }, { head: 'kind', drop: 1 }]
  const rows = [
    ['first', '1', 'a'],
    ['second-and-long', '22', 'b'],
  ]
  const lines = (width: number) => tableLines(columns, rows, width, head => head)

  test('fit as they are', () => {
    expect(lines(40)).toEqual(['name              n  kind', 'first             1  a', 'second-and-long  22  b'])
  })

  test('lose columns by their rank, then characters', () => {
    expect(lines(24)).toEqual(['name             kind', 'first            a', 'second-and-long  b'])
    expect(lines(17)).toEqual(['name', 'first', 'second-and-long'])
    expect(lines(10)).toEqual(['name', 'first', 'second-an…'])
  })

  test('paint a cell by itself', () => {
    const cell = { text: 'x', paint: (text: string) => `<${text}>` }
    expect(tableLines([{ head: 'head' }, { head: 'b' }], [[cell, 'y']], 20, head => head)).toEqual([
      'head  b',
      '<x   >  y',
    ])
  })
})
