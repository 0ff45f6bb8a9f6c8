import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import { expect, it } from 'vitest'
import {
  ATTRIBUTES,
  DATABASE_SYSTEM,
  MESSAGING_SYSTEM,
  OPERATION_TYPES,
  RESOURCE_ATTRIBUTES,
  SPAN_NAMES,
} from '../../../../src/telemetry/tracing/names.ts'

const known = Object.entries(conventions as Record<string, unknown>).filter(
  (entry): entry is [string, string] => typeof entry[1] === 'string',
)
const namesOf = (value: string, prefix: string) =>
  known.filter(([name, text]) => name.startsWith(prefix) && text === value).map(([name]) => name)

/** The declarations, where what is deprecated says so. */
const declarations = ['experimental_attributes', 'stable_attributes'].map(file => {
  const index = createRequire(import.meta.url).resolve('@opentelemetry/semantic-conventions')
  return readFileSync(index.replace(/index\.\w+$/, `${file}.d.mts`), 'utf8')
})

/** The comment right before the declaration of a constant. */
function commentOf(name: string): string {
  for (const text of declarations) {
    const at = text.search(new RegExp(`declare const ${name}[:\\s]`))
    if (at >= 0) return text.slice(text.lastIndexOf('/**', at), at)
  }
  return ''
}

it.each([...Object.values(ATTRIBUTES), ...Object.values(RESOURCE_ATTRIBUTES)])(
  '%s is an attribute of the semantic conventions, and not deprecated',
  attribute => {
    const names = namesOf(attribute, 'ATTR_')
    expect(names).toHaveLength(1)
    expect(commentOf(names[0] ?? '')).toMatch(/\S/)
    expect(commentOf(names[0] ?? '')).not.toContain('@deprecated')
  },
)

it('takes the values from there, too', () => {
  for (const type of Object.values(OPERATION_TYPES)) {
    expect(namesOf(type, 'MESSAGING_OPERATION_TYPE_VALUE_')).toHaveLength(1)
  }
  expect(conventions.MESSAGING_SYSTEM_NAME_VALUE_KAFKA).toBe(MESSAGING_SYSTEM)
  expect(conventions.DB_SYSTEM_NAME_VALUE_POSTGRESQL).toBe(DATABASE_SYSTEM)
})

it('names spans by operation and destination', () => {
  expect([SPAN_NAMES.send('a'), SPAN_NAMES.poll('b'), SPAN_NAMES.process('b'), SPAN_NAMES.commit('c')]).toEqual([
    'send a',
    'poll b',
    'process b',
    'commit c',
  ])
})
