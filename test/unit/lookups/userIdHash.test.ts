import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { TidemarkError } from '../../../src/errors.ts'
import { readUserIdHash } from '../../../src/lookups/userIdHash.ts'
import { SEED } from '../support.ts'

const folder = mkdtempSync(join(tmpdir(), 'tidemark-key-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function keyFile(content: string | Uint8Array): { file: string } {
  const file = join(folder, String(files++))
  writeFileSync(file, content)
  return { file }
}

test('a known vector of HMAC-SHA-256', () => {
  // RFC 4231, test case 3: a key of 20 bytes 0xaa; its data, 50 bytes 0xdd, is no UTF-8, so Node's own HMAC stands in for ids.
  const key = Buffer.alloc(20, 0xaa)
  const vector = createHmac('sha256', key).update(Buffer.alloc(50, 0xdd)).digest('hex')
  expect(vector).toBe('773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe')
  expect(readUserIdHash(keyFile(key))('id')).toBe(createHmac('sha256', key).update('id').digest('hex'))
})

test.each([0, 4, 16_384])('every id is hashed as UTF-8, also when remembered (%i)', cacheSize => {
  const hash = readUserIdHash(keyFile('0123456789abcdef'), cacheSize)
  const ids = fc.array(fc.string({ unit: 'grapheme', maxLength: 4 }), { maxLength: 30 })
  fc.assert(
    fc.property(ids, some => {
      for (const id of [...some, ...some]) {
        expect(hash(id)).toBe(createHmac('sha256', '0123456789abcdef').update(Buffer.from(id)).digest('hex'))
      }
    }),
    { seed: SEED, numRuns: 50 },
  )
})

test('one line break at the end of the file is no part of the key', () => {
  const of = (content: string) => readUserIdHash(keyFile(content))('id')
  const bare = of('0123456789abcdef')
  expect(of('0123456789abcdef\n')).toBe(bare)
  expect(of('0123456789abcdef\r\n')).toBe(bare)
  expect(of('0123456789abcdef\n\n')).not.toBe(bare)
  expect(of('0123456789abcdef ')).not.toBe(bare)
  expect(of('0123456789abcdef\r')).not.toBe(bare)
})

test.each([
  [keyFile('0123456789abcde'), 'its key has 15 bytes'],
  [keyFile('0123456789abcde\n'), 'its key has 15 bytes'],
  [keyFile(''), 'its key has 0 bytes'],
  [{ file: join(folder, 'none') }, 'it cannot be read (ENOENT)'],
  [{ file: folder }, 'it cannot be read (EISDIR)'],
])('%o is refused', (key, reason) => {
  const refused = () => readUserIdHash(key)
  expect(refused).toThrow(TidemarkError)
  expect(refused).toThrow(
    `USER_ID_KEY_FILE is ${JSON.stringify(key.file)}: ${reason}, allowed is a readable file of at least 16 bytes`,
  )
  expect(refused).toThrow(expect.objectContaining({ code: 'bad_setting' }))
})
