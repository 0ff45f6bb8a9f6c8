import { afterEach, describe, expect, it } from 'vitest'
import { changeLevel, openRoleLog } from '../../../src/commands/roleLog.ts'
import type { LogThreshold } from '../../../src/telemetry/log.ts'

afterEach(() => {
  process.removeAllListeners('SIGUSR2')
})

describe('a signal to say more', () => {
  it.each<[set: LogThreshold, other: LogThreshold]>([
    ['info', 'debug'],
    ['error', 'debug'],
    ['silent', 'debug'],
    ['debug', 'trace'],
    ['trace', 'info'],
  ])('from %s to %s and back', (set, other) => {
    const told: unknown[] = []
    const log = { threshold: set, info: (event: string, fields?: object) => void told.push([event, fields]) }
    changeLevel(log, set)
    expect(log.threshold).toBe(other)
    changeLevel(log, set)
    expect(log.threshold).toBe(set)
    expect(told).toEqual([
      ['log_level', { from: set, to: other }],
      ['log_level', { from: other, to: set }],
    ])
  })

  it('is told at the more talkative of both', () => {
    const at: LogThreshold[] = []
    const log = { threshold: 'error' as LogThreshold, info: () => void at.push(log.threshold) }
    changeLevel(log, 'error')
    changeLevel(log, 'error')
    expect(at).toEqual(['debug', 'debug'])
  })

  it('reaches the log of a role', () => {
    const lines: string[] = []
    const to = { write: (line: string) => void lines.push(line) }
    const log = openRoleLog({ logLevel: 'warn', logFormat: 'tidemark' }, 'sink', { to })
    process.emit('SIGUSR2')
    log.debug('flushed')
    process.emit('SIGUSR2')
    log.debug('flushed')
    expect(lines.map(line => JSON.parse(line).event)).toEqual(['log_level', 'flushed', 'log_level'])
  })
})
