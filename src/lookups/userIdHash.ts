import { createHmac, createSecretKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { TidemarkError } from '../errors.ts'
import { Recent } from './recent.ts'

const MIN_KEY_BYTES = 16
/** Twice as many ids come to about 8 MB. A hash takes 40 times as long as finding it again. */
const DEFAULT_CACHE_SIZE = 16_384

/**
 * Reads the key of user ids and compiles the function that replaces them: HMAC-SHA-256 of the id's UTF-8, 64 hexadecimal
 * digits in lower case. The key is the file's bytes; one line break at the end, as editors and `echo` leave it, is no part
 * of it.
 * @param cacheSize ids of late whose hash is kept: at least so many, at most twice as many; 0 keeps none
 * @throws TidemarkError `bad_setting` when the file cannot be read or holds less than 16 bytes
 */
export function readUserIdHash(
  { file }: { readonly file: string },
  cacheSize = DEFAULT_CACHE_SIZE,
): (userId: string) => string {
  const key = createSecretKey(readKey(file))
  const hash = (userId: string) => createHmac('sha256', key).update(userId, 'utf8').digest('hex')
  if (cacheSize === 0) return hash
  const recent = new Recent<string>(cacheSize)
  return userId => recent.get(userId, hash)
}

function readKey(file: string): Buffer {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw refused(file, 'it cannot be read', error)
  }
  const key = withoutLineBreak(bytes)
  if (key.length < MIN_KEY_BYTES) throw refused(file, `its key has ${key.length} bytes`)
  return key
}

function withoutLineBreak(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1)
}

function refused(file: string, reason: string, cause?: unknown): TidemarkError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  const why = code === undefined ? reason : `${reason} (${code})`
  const message = `USER_ID_KEY_FILE is ${JSON.stringify(file)}: ${why}, allowed is a readable file of at least ${MIN_KEY_BYTES} bytes`
  return new TidemarkError('bad_setting', message, { cause })
}
