import { expect, test } from 'vitest'
import { CODE_MEANINGS, EVENT_FIELDS } from '../../../src/events/codes.ts'
import { deviceTypeTable } from '../../../src/events/deviceType.ts'
import { ENRICHED_FIELDS } from '../../../src/events/enrich.ts'
import { codeTable, eventTable, MAX_LENGTHS } from '../../../src/events/fields.ts'

const firstCells = (table: string) =>
  table
    .split('\n')
    .slice(2)
    .map(line => line.split(' | ')[0]!.replace(/^\| /, ''))

test.each([eventTable(), codeTable(), deviceTypeTable()])('every row of a table has as many cells', table => {
  const cells = table.split('\n').map(line => line.replaceAll('\\|', '').split('|').length)
  expect(new Set(cells).size).toBe(1)
})

test('the table of fields has every field of an event and of its record, and the bounds', () => {
  const names = firstCells(eventTable()).map(cell => cell.replaceAll('`', ''))
  expect(names.toSorted()).toEqual(['any other', ...ENRICHED_FIELDS].toSorted())
  for (const name of EVENT_FIELDS) {
    const line = eventTable()
      .split('\n')
      .find(row => row.startsWith(`| \`${name}\``))
    if (name !== 'timestamp' && name !== 'ip') expect(line).toContain(`at most ${MAX_LENGTHS[name]} UTF-16 units`)
  }
})

test('every code has a meaning', () => {
  expect(firstCells(codeTable()).map(cell => cell.replaceAll('`', ''))).toEqual(Object.keys(CODE_MEANINGS))
  expect(Object.keys(CODE_MEANINGS)).toHaveLength(6 + 2 * EVENT_FIELDS.length + 4)
})
