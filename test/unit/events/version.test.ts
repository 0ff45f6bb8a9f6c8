import { expect, test } from 'vitest'
import { versionCategory } from '../../../src/events/version.ts'

/** What semver 7's `coerce` makes of the same texts, but for the last two. */
test.each([
  ['2.3.0', '2.3'],
  ['v1', '1.0'],
  ['1', '1.0'],
  ['1.2', '1.2'],
  ['1.2.3.4', '1.2'],
  ['2.4.0-beta', '2.4'],
  ['app 3.4.5 (build 77)', '3.4'],
  ['10.0.19045.1', '10.0'],
  ['0.0.1', '0.0'],
  ['a1b2.3', '1.0'],
  ['1..2', '1.0'],
  ['.5', '5.0'],
  ['1.x', '1.0'],
  ['1,2', '1.0'],
  ['12345678901234567.1', '1.0'],
  ['9007199254740991.1', '9007199254740991.1'],
  ['9007199254740993.1', 'unknown'],
  ['99999999999999999999', 'unknown'],
  ['beta', 'unknown'],
  ['', 'unknown'],
  ['unknown', 'unknown'],
  // Coerce gives these up for their leading zeros.
  ['2023.08.01', '2023.8'],
  ['01.02', '1.2'],
])('%j is of %s', (version, category) => {
  expect(versionCategory(version)).toBe(category)
  expect(versionCategory(version)).toBe(category)
})
