import { describe, expect, test } from 'vitest'
import { type PhaseResult, reportOf, reportText } from '../../cluster/campaign/report.ts'
import { parseOptions } from '../../cluster/options.ts'

const phase = (name: string, ...complaints: string[]): PhaseResult => ({
  name,
  title: `title of ${name}`,
  seconds: 12.4,
  figures: { differences: complaints.length },
  complaints,
})

describe('reportOf', () => {
  test('passes when every planned phase ran and none complains', () => {
    expect(reportOf([phase('a'), phase('b')], ['a', 'b'], 30).passed).toBe(true)
  })

  test('fails by one complaint, and by a phase that did not run', () => {
    expect(reportOf([phase('a'), phase('b', '10s/x: batch_size')], ['a', 'b'], 30).passed).toBe(false)
    expect(reportOf([phase('a')], ['a', 'b'], 30).passed).toBe(false)
  })
})

describe('reportText', () => {
  test('ends with the verdict, and names the phase of each complaint', () => {
    const lines = reportText(reportOf([phase('a'), phase('b', 'too late')], ['a', 'b'], 30)).split('\n')
    expect(lines).toEqual([
      'ok     title of a   12 s  differences 0',
      'FAILED title of b   12 s  differences 1',
      'b: too late',
      'verdict: FAILED, 1 of 2 phases as they must be, in 30 s',
    ])
    expect(reportText(reportOf([phase('a')], ['a'], 30))).toMatch(/verdict: passed, 1 of 1 phases/)
  })
})

describe('parseOptions', () => {
  test('reads them all', () => {
    expect(parseOptions(['--short', '--keep', '--json', '--phases', 'install, scale', '--context', 'kind-x'])).toEqual({
      short: true,
      keep: true,
      json: true,
      asBuilt: false,
      phases: ['install', 'scale'],
      context: 'kind-x',
      registry: undefined,
      fromPackages: false,
    })
  })

  test('tells what is wrong and ends with 2', () => {
    expect(parseOptions(['--phases', 'scales'])).toMatchObject({ code: 2, usage: expect.stringContaining("'scales'") })
    expect(parseOptions(['--fast'])).toMatchObject({ code: 2, usage: expect.stringContaining('--fast') })
    expect(parseOptions(['--help'])).toMatchObject({ code: 0 })
  })
})
