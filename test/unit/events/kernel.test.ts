import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compileKernel, KERNEL_MODULE } from '../../../scripts/kernel.ts'
import { OPTIONAL_FIELDS } from '../../../src/events/codes.ts'
import { KERNEL_BYTES } from '../../../src/events/kernel.ts'
import { LAYOUT } from '../../../src/events/kernelLayout.ts'
import { MEMBER_NAMES, MEMBER_WIDTH } from '../../../src/events/loginEvent.ts'

const CONSTANT = /^export const ([A-Z0-9_]+): \w+ = (.+)$/gm

/** The numbers that a file of the kernel names, some of them products of others. */
function constantsIn(path: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const numberOf = (text: string) => found.get(text.replace('<usize>', '')) ?? Number(text)
  for (const [, name = '', text = ''] of readFileSync(join(process.cwd(), path), 'utf8').matchAll(CONSTANT)) {
    found.set(
      name,
      text.split(' * ').reduce((product, factor) => product * numberOf(factor), 1),
    )
  }
  return found
}

describe('the layout of the memory', () => {
  const layout = constantsIn('kernel/layout.ts')
  const at = (name: string) => layout.get(name) ?? Number.NaN

  it('is the same on both sides', () => {
    expect(layout.size).toBeGreaterThan(40)
    expect([...layout].filter(([, value]) => !Number.isInteger(value))).toEqual([])
    const names = Object.keys(LAYOUT)
    expect(Object.fromEntries(names.map(name => [name, layout.get(name)]))).toEqual(LAYOUT)
    expect([at('NAME_COUNT'), at('MEMBER_BYTES')]).toEqual([MEMBER_NAMES.length, 4 * MEMBER_WIDTH])
  })

  it('gives each part room of its own', () => {
    const parts = [
      [at('TEXTS'), 3 * at('TEXTS_BYTES')],
      [at('NAMES'), at('NAME_COUNT') * at('NAME_BYTES')],
      [at('NAMES_BEHIND'), at('NAME_COUNT') + 2],
      [at('BEGINNINGS'), (at('NAME_COUNT') + 2) * at('BEGINNING_BYTES')],
      [at('ROWS'), at('MOST_ROWS') * at('ROW_BYTES')],
      [at('MEMBERS'), at('MOST_ROWS') * at('MEMBERS_BYTES')],
      // Three words of a name, or the numbers of a record, may be read from the last byte on.
      [at('INPUT'), at('INPUT_BYTES') + 64],
      [at('RUNS'), at('MOST_WINDOWS') * at('RUN_BYTES')],
      [at('FOLDED'), at('FOLD_BYTES') + at('INPUT_BYTES')],
      [at('THREAD_FOLDED'), at('FOLD_BYTES') + at('INPUT_BYTES')],
      [at('THREAD_INPUT'), at('INPUT_BYTES')],
      [at('BODIES'), at('BODY_COUNT') * at('BODY_BYTES') + 64],
      [at('PACKED'), at('LZ4_BLOCK_BYTES') + 64],
      [at('UNPACKED') - at('HISTORY_BYTES'), at('HISTORY_BYTES') + at('LZ4_BLOCK_BYTES') + 64],
    ] as [number, number][]
    for (const [i, [start, bytes]] of parts.entries()) {
      expect([i, start + bytes <= (parts[i + 1]?.[0] ?? KERNEL_BYTES.length)]).toEqual([i, true])
    }
    expect(at('TEXTS_BYTES')).toBe(16 << at('TEXT_SLOT_BITS'))
    expect(at('DEVICE_HASH') + 4).toBeLessThanOrEqual(at('ROW_BYTES'))
  })

  it('gives each part of what was counted of a window room of its own', () => {
    const [rows, slots] = [at('MOST_ROWS'), 1 + (1 << at('TEXT_SLOT_BITS'))]
    expect([at('COUNTED_BYTES'), at('SLOT_COUNTS_BYTES')].every(bytes => bytes >= 4 * slots)).toBe(true)
    const parts = [
      [at('RUN_EVENTS'), 4],
      [at('RUN_LAST_ROW'), 4],
      [at('RUN_LOGINS'), 4],
      [at('COUNTED_SIZES'), 3 * 4],
      [at('CLOSES_AT'), 8],
      [at('CEILING'), 8],
      [at('MISSING_COUNTS'), 4 << OPTIONAL_FIELDS.length],
      [at('RUN_ADDRESSES'), 4 * rows],
      [at('LOGIN_USERS'), 8 * rows],
      [at('LOGIN_TIMES'), 8 * rows],
      [at('LOGIN_DEVICES'), 8 * rows],
      [at('COUNTED'), 3 * at('COUNTED_BYTES')],
      [at('SLOT_COUNTS'), 3 * at('SLOT_COUNTS_BYTES')],
    ] as [number, number][]
    for (const [i, [start, bytes]] of parts.entries()) {
      expect([i, start + bytes <= (parts[i + 1]?.[0] ?? at('RUN_BYTES'))]).toEqual([i, true])
    }
  })

  it('has room for every name as it is written', () => {
    for (const name of MEMBER_NAMES) expect([name, `"${name}":`.length <= 24]).toEqual([name, true])
  })
})

it('the module is what the kernel compiles to', { timeout: 60_000 }, () => {
  const written = readFileSync(join(process.cwd(), KERNEL_MODULE), 'utf8')
  expect(compileKernel(process.cwd()) === written, `npm run kernel writes ${KERNEL_MODULE}`).toBe(true)
})
