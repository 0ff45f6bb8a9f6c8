import { describe, expect, test } from 'vitest'
import { clockText, extremes, HEADING, type Sample, sampleText, secondsUntil } from '../../cluster/campaign/samples.ts'

function sample(at: number, ready: number, lag = 0, notes: string[] = []): Sample {
  const one = { wanted: 1, ready: 1 }
  return { at, phase: 'scale', produced: 1_000, lag, counted: 900, aggregate: { wanted: 6, ready }, reduce: one, notes }
}

const SAMPLES = [sample(0, 1), sample(2, 1, 4_000), sample(4, 4, 9_000), sample(6, 6, 3_000)]

describe('secondsUntil', () => {
  test('counts from the moment asked for, not from the beginning', () => {
    expect(secondsUntil(SAMPLES, 2, ({ aggregate }) => aggregate.ready === 6)).toBe(4)
    expect(secondsUntil(SAMPLES, 5, ({ aggregate }) => aggregate.ready < 6)).toBeNull()
  })
})

describe('extremes', () => {
  test('looks only at what came since', () => {
    expect(extremes(SAMPLES, 4)).toEqual({ maxLag: 9_000, minReady: 4, maxReady: 6 })
    expect(extremes(SAMPLES, 6)).toEqual({ maxLag: 3_000, minReady: 6, maxReady: 6 })
    expect(extremes(SAMPLES, 7)).toEqual({ maxLag: 0, minReady: 0, maxReady: 0 })
  })
})

describe('sampleText', () => {
  test('stands below the heading, with what happened at its end', () => {
    const line = sampleText(sample(725, 4, 12, ['killed a pod', 'upgraded']))
    expect(line).toMatch(/^ {2}12:05 {2}scale .* 4\/6 +1\/1 {2}killed a pod; upgraded$/)
    expect(sampleText(sample(725, 4)).length).toBe(HEADING.length)
    expect(clockText(59.9)).toBe('0:59')
  })
})
