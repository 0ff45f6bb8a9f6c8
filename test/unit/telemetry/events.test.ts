import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EVENTS } from '../../../src/telemetry/events.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const sources = globSync('src/**/*.ts', { cwd: ROOT })
  .filter(file => !file.endsWith('telemetry/events.ts'))
  .map(file => readFileSync(join(ROOT, file), 'utf8'))

/** `log.info('x', …)`, `log.write('warn', 'x', …)`, and the like of what is sampled. */
const WRITTEN =
  /\b(?:log|\w*Log|often|seldom|quiet|#faults)\.(?:(?:trace|debug|info|warn|error|fatal)\(|write\(\s*'?\w+'?,)\s*'([a-z_]+)'/g

describe('the list of log events', () => {
  it('has every name that a line is written with', () => {
    const written = new Set(sources.flatMap(text => [...text.matchAll(WRITTEN)].map(([, name = '']) => name)))
    expect(written.size).toBeGreaterThan(20)
    expect([...written].filter(name => !(name in EVENTS))).toEqual([])
  })

  it.each(Object.entries(EVENTS))('%s is written somewhere, and explained in a sentence', (name, meaning) => {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(sources.some(text => text.includes(`'${name}'`))).toBe(true)
    expect(meaning).toMatch(/^[A-Z].*\.$/)
  })
})
