import { diag } from '@opentelemetry/api'
import { afterEach, expect, it } from 'vitest'
import { tellTroubles } from '../../../../src/telemetry/otel/troubles.ts'

afterEach(() => diag.disable())

it.each([
  [
    'an error with its stack',
    '{"stack":"Error: gone\\n  at x","message":"connect ECONNREFUSED","code":"ECONNREFUSED"}',
    'connect ECONNREFUSED',
  ],
  ['an error that has only a code', '{"stack":"AggregateError","message":"","code":"ECONNREFUSED"}', 'ECONNREFUSED'],
  ['a sentence', 'metrics export timed out after 500ms', 'metrics export timed out after 500ms'],
  ['other JSON', '{"a":1}', '{"a":1}'],
])('a trouble is told as a person reads it: %s', (_, said, told) => {
  const heard: string[] = []
  tellTroubles(message => heard.push(message))
  diag.error(said)
  diag.warn(said)
  diag.info(said)
  expect(heard).toEqual([told, told])
})
