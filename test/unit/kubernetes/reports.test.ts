import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../src/errors.ts'
import { shortened } from '../../../src/kubernetes/recorder.ts'
import {
  alarmReport,
  corruptReport,
  limitReport,
  noticeReport,
  refusalReport,
} from '../../../src/kubernetes/reports.ts'

const alarm = { partition: 3, records: 200, rejected: 50, share: 0.25, codes: [['not_json', 50]] } as const

describe('a report', () => {
  it.each([
    ['refused_config_hash', 'ConfigurationRefused'],
    ['refused_topic', 'TopicRefused'],
    ['refused_beyond_log', 'CommitBeyondLog'],
    ['unreachable', undefined],
    ['crashed', undefined],
  ] as const)('of an ending by %s has the reason %s', (code, reason) => {
    expect(refusalReport(new TidemarkError(code, 'why'))?.reason).toBe(reason)
  })

  it('is not made of other errors, nor of notices that are counted elsewhere', () => {
    expect(refusalReport(new Error('x'))).toBe(null)
    expect(noticeReport('0', { kind: 'rejected', offset: 1, code: 'late' })).toBe(null)
    expect(corruptReport('0', { from: 1, skipped: true })).toBe(null)
  })

  it('says where and what', () => {
    expect(noticeReport('1m/2', { kind: 'gap', from: 5, to: 9 })).toMatchObject({ key: '1m/2:5-9', reason: 'LogGap' })
    expect(corruptReport('4', { from: 77, skipped: false })?.note).toContain('Partition 4 stands at offset 77')
    expect(alarmReport('3', { kind: 'raised', ...alarm }).note).toContain('50 of 200 events (25 %)')
    expect(alarmReport('3', { kind: 'cleared', ...alarm })).toMatchObject({
      type: 'Normal',
      reason: 'DeadLetterSurgeEnded',
    })
    expect(limitReport('agg', 'user-login', { from: 4, to: 12 }).note).toContain('maxReplicaCount 4 -> 12')
  })

  it('of one partition’s surge is one series, whatever its figures are', () => {
    const more = { ...alarm, records: 300, rejected: 290, codes: [['late', 1]] as const }
    expect(alarmReport('3', { kind: 'raised', ...more }).key).toBe(alarmReport('3', { kind: 'raised', ...alarm }).key)
    expect(alarmReport('4', { kind: 'raised', ...alarm }).key).not.toBe(
      alarmReport('3', { kind: 'raised', ...alarm }).key,
    )
  })

  it.each(['short', 'é'.repeat(700), '🎈'.repeat(300), `a${'🎈'.repeat(300)}`])('is cut at whole characters', text => {
    const note = shortened(text)
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1_024)
    expect(note.isWellFormed()).toBe(true)
    expect(note.endsWith('…')).toBe(Buffer.byteLength(text) > 1_024)
  })
})
