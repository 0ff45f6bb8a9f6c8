import { expect, it } from 'vitest'
import { exitCodeOf, TidemarkError } from '../../../src/errors.ts'
import { databaseError, troubleOf } from '../../../src/sinks/databaseErrors.ts'

const failing = (code: string) => Object.assign(new Error('no'), { code })

it.each([
  ['57P03', 'unavailable'],
  ['53300', 'unavailable'],
  ['53100', 'unavailable'],
  ['25006', 'unavailable'],
  ['25P03', 'unavailable'],
  ['25P04', 'unavailable'],
  ['57014', 'unavailable'],
  ['55P03', 'unavailable'],
  ['40P01', 'unavailable'],
  ['08006', 'unavailable'],
  ['58030', 'unavailable'],
  ['ECONNREFUSED', 'unavailable'],
  ['ENOTFOUND', 'unavailable'],
  ['28P01', 'refused'],
  ['3D000', 'refused'],
  ['42501', 'refused'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'refused'],
  ['22P05', 'data'],
  ['54000', 'data'],
  ['42P01', 'fault'],
  ['25P02', 'fault'],
])('%s is %s', (code, trouble) => {
  expect(troubleOf(failing(code))).toBe(trouble)
})

it('an error of the driver without a code is the connection', () => {
  expect(troubleOf(new Error('Connection terminated unexpectedly'))).toBe('unavailable')
})

it('an error of ours is no trouble of the connection', () => {
  expect(troubleOf(new TypeError('x is not a function'))).toBe('fault')
})

it('each ends in the exit code that tells what to do', () => {
  expect(exitCodeOf(databaseError(failing('28P01'), 'h/d'))).toBe(3)
  expect(exitCodeOf(databaseError(failing('42P01'), 'h/d'))).toBe(4)
  expect(databaseError(failing('ECONNREFUSED'), 'h/d')).toMatchObject({ code: 'unreachable', retriable: true })
  const own = new TidemarkError('fenced', 'x')
  expect(databaseError(own, 'h/d')).toBe(own)
})

it('all addresses of a host that refuse are told by the first', () => {
  const error = Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:5432')]), {
    code: 'ECONNREFUSED',
  })
  expect(databaseError(error, 'h/d').message).toBe('database h/d: connect ECONNREFUSED ::1:5432 (ECONNREFUSED)')
})
