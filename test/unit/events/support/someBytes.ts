import fc from 'fast-check'
import { NO_SHARES } from '../../../../src/dev/generator/eventOptions.ts'
import { createEventSource } from '../../../../src/dev/generator/eventSource.ts'
import { MEMBER_NAMES } from '../../../../src/events/loginEvent.ts'

const NOW = 1_760_000_000_000

/** @param variedClients the share of those that write otherwise than in the plain form */
export function generated(count: number, variedClients: number): Buffer[] {
  const source = createEventSource({ partitions: 4, users: 50, variedClients, shares: NO_SHARES })
  return Array.from({ length: count }, (_, i) => source.next(NOW + 1000 * i).value as Buffer)
}

/** JSON texts of members' values: what is usual, what is odd, and what is none. */
const ODD_VALUES = [
  ...['null', 'true', 'false', '0', '-0', '1e3', '1E400', '0.1', '12345678901234567890', '007', '+1', 'NaN', '""', '"'],
  ...['"\\u0041"', '"\\ud83d"', '"\\ud83d\\ude00"', '"é"', '"\u{1f600}"', '[]', '{}', '[[[]]]', '[[[[[[]]]]]]', '[,]'],
  ...['"1694479551"', '1694479551', '1694479551999', '1e9', '"2023-09-12T00:12:30Z"', '"2023-09-12T00:12:30.5Z"'],
  ...['"2023-13-12T00:12:30Z"', '"0000-00-00T00:00:00Z"', '"9999-12-31T23:59:59.999Z"', '"99999999999999999999"'],
  ...['"1.2.3.4"', '"01.2.3.4"', '"1.2.3.4.5"', '"::1"', '"1:2"', '"unknown"', '"NY"', '"2.3.0"', '"iPhone"', '""'],
  ...['{"a":{"b":{"c":1}}}', '{"user_id":"x"}', '"\u0001"', '"\\', '"a"b', '"\\"', '"\u007f"', '"\ufeff"'],
  `"${'x'.repeat(64)}"`,
  `"${'x'.repeat(65)}"`,
]
const KEYS = [...MEMBER_NAMES, 'data', 'specversion', 'time', '__proto__', 'x', '', 'user_id ', 'Locale', 'ключ']
const SEPARATORS = ['', '', '', ' ', ' ', '\n\t', '\u00a0', '\ufeff']
const REAL = [...generated(200, 0), ...generated(100, 1)].map(String)

type Change = { readonly way: number; readonly at: number; readonly key: string; readonly value: string }
const change: fc.Arbitrary<Change> = fc.record({
  way: fc.nat(6),
  at: fc.nat(20),
  key: fc.constantFrom(...KEYS),
  value: fc.oneof(
    fc.constantFrom(...ODD_VALUES),
    fc.string({ maxLength: 8 }).map(text => JSON.stringify(text)),
    fc.jsonValue({ maxDepth: 3 }).map(value => JSON.stringify(value)),
    fc.nat().map(String),
  ),
})

/** An object's members as texts of name and value, changed, and written again. */
function changed(text: string, changes: readonly Change[], blank: string): string {
  const object = JSON.parse(text) as Record<string, unknown>
  const members = Object.entries(object).map(([name, value]): [string, string] => [
    JSON.stringify(name),
    JSON.stringify(value),
  ])
  for (const { way, at, key, value } of changes) {
    const i = at % Math.max(1, members.length)
    const member = members[i] ?? ['"x"', '1']
    if (way === 0) members.splice(i, 1)
    else if (way === 1) members.push(member)
    else if (way === 2) members.unshift(...members.splice(i))
    else if (way === 3) members.splice(i, 0, [JSON.stringify(key), value])
    else if (way === 4) members[i] = [member[0], value]
    else if (way === 5) members[i] = [JSON.stringify(key), member[1]]
    else members[i] = [member[0].replace(/[a-z]/, unit => `\\u00${unit.charCodeAt(0).toString(16)}`), member[1]]
  }
  const written = members.map(([name, value]) => `${blank}${name}:${blank}${value}`)
  return `{${written.join(`${blank},`)}${blank}}`
}

/** The texts of real events, their members changed. */
const someEvent = fc
  .tuple(fc.constantFrom(...REAL), fc.array(change, { maxLength: 2 }), fc.constantFrom(...SEPARATORS))
  .map(([text, changes, blank]) => Buffer.from(changed(text, changes, blank)))
/** The same with bytes changed, put in, taken out, or all from some place on. */
export const someBytes = fc
  .tuple(
    someEvent,
    fc.oneof(
      fc.constant([]),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(3)), { maxLength: 2 }),
    ),
  )
  .map(([value, changes]) => {
    let bytes = [...value]
    for (const [at, byte, way] of changes) {
      const i = at % Math.max(1, bytes.length)
      if (way === 3) bytes = bytes.slice(0, i)
      else bytes.splice(i, way === 0 ? 0 : 1, ...(way === 2 ? [] : [byte]))
    }
    return Buffer.from(bytes)
  })
