import { expect, it } from 'vitest'
import { type MemberKey, MemberKeys } from '../../../src/events/memberKeys.ts'

const MAX_TERMS = 4096

/** Reads the names one behind the other, as those of one event. */
function readAll(keys: MemberKeys, names: readonly string[]): void {
  const bytes = Buffer.from(`${names.map(name => `"${name}":`).join('')}      `)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let key: MemberKey | null = keys.first
  for (let at = 0; at < bytes.length - 6; at += key.length) {
    key = keys.read(key, bytes, view, at, bytes.length)
    if (key === null) throw new Error(`no name at ${at}`)
  }
}

function reachable(keys: MemberKeys): number {
  const found = new Set<MemberKey>()
  const open: (MemberKey | null)[] = [keys.first]
  while (open.length > 0) {
    const key = open.pop() ?? null
    if (key === null || found.has(key)) continue
    found.add(key)
    open.push(key.next, key.other)
  }
  return found.size
}

it('names that come in ever new orders are not remembered without end', () => {
  const keys = new MemberKeys()
  const depth = 14
  for (let i = 0; i < 2 ** depth; i++) {
    const bits = i.toString(2).padStart(depth, '0')
    readAll(
      keys,
      Array.from({ length: depth }, (_, d) => `n${bits.slice(0, d + 1)}`),
    )
  }
  expect(reachable(keys)).toBeLessThanOrEqual(MAX_TERMS + depth + 1)
})
