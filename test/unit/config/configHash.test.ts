import { expect, it } from 'vitest'
import { configHash, semanticSettings } from '../../../src/config/configHash.ts'
import { loadSettings } from '../../../src/config/load.ts'

function hashOf(env: NodeJS.ProcessEnv): string {
  return configHash(
    loadSettings(env, () => {
      throw new Error('no file')
    }),
  )
}

it('is 12 hex digits and stays: another hash for the same settings would refuse every running installation', () => {
  expect(hashOf({})).toBe('9798436656b0')
})

it('is taken over keys in alphabetical order', () => {
  const keys = Object.keys(semanticSettings(loadSettings({}, () => '')))
  expect(keys).toEqual([...keys].sort())
})

it.each([
  ['STREAM_GENERATION', '2'],
  ['WINDOW_SIZE', '5s'],
  ['ALLOWED_LATENESS', '31s'],
  ['MAX_FUTURE_SKEW', '6m'],
  ['MAX_EVENT_BYTES', '2MiB'],
  ['MAX_EVENT_DEPTH', '65'],
  ['VALIDATION_REQUIRED', 'ip'],
  ['CHUNK_SIZE', '1024'],
  ['MAX_DIMENSION_VALUES', '999'],
  ['ROLLUPS', '1m,1h'],
  ['SLIDING_WINDOWS', '5m/1m'],
  ['SESSION_GAP', '31m'],
  ['USER_SAMPLE_SIZE', '1000'],
])('changes with %s', (name, text) => {
  expect(hashOf({ [name]: text })).not.toBe(hashOf({}))
})

it.each([
  ['CORRECTION_HORIZON', '6m'],
  ['FLUSH_INTERVAL', '2s'],
  ['KAFKA_BROKERS', 'other:9092'],
  ['WINDOW_SIZE', '10000ms'],
  ['VALIDATION_REQUIRED', 'timestamp'],
  ['MAX_WINDOWS', '30000'],
  ['TIME_ZONE', 'Europe/Berlin'],
  ['ENRICHED_ENABLED', 'false'],
  ['EMIT_EVERY_EVENTS', '100'],
  ['RESULT_RETENTION', '10s=1d'],
])('stays the same with %s=%s', (name, text) => {
  expect(hashOf({ [name]: text })).toBe(hashOf({}))
})
