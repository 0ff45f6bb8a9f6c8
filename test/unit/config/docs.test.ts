import { expect, it } from 'vitest'
import { settingsTable } from '../../../src/config/docs.ts'
import { SCHEMA, SETTING_NAMES } from '../../../src/config/schema.ts'

it('has a row of four cells for every setting', () => {
  const rows = settingsTable().split('\n').slice(2)
  expect(rows.map(row => /^\| `(\w+)` \|/.exec(row)?.[1])).toEqual(SETTING_NAMES)
  for (const row of rows) expect(row.split(/(?<!\\)\|/)).toHaveLength(6)
})

it.each(SETTING_NAMES)('the default of %s is allowed', name => {
  const spec = SCHEMA[name]
  expect(spec.default === null || spec.kind.parse(spec.default) !== undefined).toBe(true)
})
