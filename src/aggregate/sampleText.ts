import { emptyUserRecord, MAX_DEVICES, type UserRecord } from './userRecord.ts'

/**
 * The stored form of a user sample: base64 of
 *
 *     version, flags (1: there were more users than were kept), number of users, least first login in epoch milliseconds
 *     for each user, hashes ascending:
 *       hash, 7 bytes, the lowest first
 *       devices (0 to 16) + 32 when there were more + 64 when intervals are more than one
 *       logins
 *       number of intervals, when more than one
 *       for each interval: its start since the end of the one before (of the first: since the least first login), its length
 *       device hashes, 4 bytes each, ascending
 *
 * Whole numbers without a width are of 7 bits a byte, the lowest first, the highest bit telling that more follow. There is
 * one form only for one sample, so that equal samples are equal texts.
 */
const VERSION = 1
const HAD_MORE_USERS = 1
const HAD_MORE_DEVICES = 32
const MANY_INTERVALS = 64
const DEVICE_COUNT = 31
const HASH_BYTES = 7
const DEVICE_BYTES = 4
/** Of a number that takes all 53 bits. */
const LONGEST_NUMBER = 8
const TWO_32 = 0x1_0000_0000

/** Writes the stored form. Users must come in the order of their hashes, as many as were announced. */
export class SampleWriter {
  #bytes: Uint8Array
  #at = 0
  readonly #baseMs: number

  /**
   * @param users how many will be written, at least one
   * @param baseMs the least first login of all, epoch milliseconds
   */
  constructor(users: number, hadMoreUsers: boolean, baseMs: number) {
    this.#bytes = new Uint8Array(2 + 2 * LONGEST_NUMBER + users * 24)
    this.#baseMs = baseMs
    this.#bytes[this.#at++] = VERSION
    this.#bytes[this.#at++] = hadMoreUsers ? HAD_MORE_USERS : 0
    this.#number(users)
    this.#number(baseMs)
  }

  write(user: UserRecord): void {
    const { hash, deviceCount, intervalCount, intervals, devices } = user
    const most = HASH_BYTES + 1 + 2 * LONGEST_NUMBER * (1 + intervalCount) + DEVICE_BYTES * deviceCount
    if (this.#at + most > this.#bytes.length) this.#grow(most)
    const bytes = this.#bytes
    // The same as the remainder of 2^32, which takes ten times as long.
    const low = hash >>> 0
    const high = (hash - low) / TWO_32
    let at = this.#at
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = low >>> shift
    for (let shift = 0; shift < 24; shift += 8) bytes[at++] = high >>> shift
    bytes[at++] = deviceCount | (user.moreDevices ? HAD_MORE_DEVICES : 0) | (intervalCount > 1 ? MANY_INTERVALS : 0)
    this.#at = at
    this.#number(user.logins)
    if (intervalCount > 1) this.#number(intervalCount)
    let before = this.#baseMs
    for (let i = 0; i < 2 * intervalCount; i++) {
      const time = intervals[i] as number
      this.#number(time - before)
      before = time
    }
    at = this.#at
    for (let i = 0; i < deviceCount; i++) {
      const device = devices[i] as number
      for (let shift = 0; shift < 32; shift += 8) bytes[at++] = device >>> shift
    }
    this.#at = at
  }

  text(): string {
    return Buffer.from(this.#bytes.buffer, 0, this.#at).toString('base64')
  }

  #number(value: number): void {
    const bytes = this.#bytes
    let rest = value
    // Beyond 31 bits, shifts would lose what is high.
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) bytes[this.#at++] = (rest % 128) | 128
    for (; rest > 127; rest >>>= 7) bytes[this.#at++] = rest | 128
    bytes[this.#at++] = rest
  }

  #grow(by: number): void {
    const grown = new Uint8Array(2 * this.#bytes.length + by)
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

/**
 * Reads the stored form, one user after the other. Whatever the text holds, it neither throws nor reads on for ever. What is
 * read from behind its bytes, which other texts have left there, fails once it is known how far that went.
 */
class SampleReader {
  /** The user read last. */
  readonly user: UserRecord = emptyUserRecord()
  hadMoreUsers = false
  /** The text is not, or not any more, what a writer would have written. */
  failed = false
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  #baseMs = 0
  #left = 0
  #at = 0

  begin(text: string): void {
    const most = Buffer.byteLength(text, 'base64')
    if (most > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(2 * most)
    const bytes = this.#bytes
    this.#end = bytes.write(text, 'base64')
    this.#at = 2
    this.failed = false
    this.hadMoreUsers = bytes[1] === HAD_MORE_USERS
    this.user.hash = -1
    this.#left = this.#number()
    this.#baseMs = this.#number()
    // Signs that are not base64 are passed over when it is decoded: bytes are missing then.
    const isWhole = text.length % 4 === 0 && this.#end === (text.length / 4) * 3 - paddingOf(text)
    const isKnown = bytes[0] === VERSION && (bytes[1] as number) <= HAD_MORE_USERS
    if (!isWhole || !isKnown || this.#left === 0 || this.#at > this.#end) this.failed = true
  }

  /** Reads the next user; false when there is none, or none that can be read. */
  next(): boolean {
    if (this.failed) return false
    if (this.#left === 0) {
      if (this.#at !== this.#end) this.failed = true
      return false
    }
    this.#left--
    const { user } = this
    const at = this.#at
    const hash = this.#word(at) + TWO_32 * (this.#word(at + 3) >>> 8)
    const head = this.#bytes[at + HASH_BYTES] as number
    this.#at = at + HASH_BYTES + 1
    // What was read from behind the end, devices or not, fails in `#readDevices`.
    if (!(hash > user.hash && hash <= Number.MAX_SAFE_INTEGER && head < 2 * MANY_INTERVALS)) return this.#fail()
    user.hash = hash
    user.moreDevices = (head & HAD_MORE_DEVICES) !== 0
    user.logins = this.#number()
    user.intervalCount = (head & MANY_INTERVALS) === 0 ? 1 : this.#number()
    // Each takes two bytes at least.
    if (user.logins === 0 || user.intervalCount === 0 || user.intervalCount > this.#end / 2) return this.#fail()
    let time = this.#baseMs
    for (let i = 0; i < 2 * user.intervalCount; i++) {
      time += this.#number()
      user.intervals[i] = time
    }
    if (!(time <= Number.MAX_SAFE_INTEGER)) return this.#fail()
    return this.#readDevices(head & DEVICE_COUNT)
  }

  #readDevices(count: number): boolean {
    const { user } = this
    if (count > MAX_DEVICES || this.#at + DEVICE_BYTES * count > this.#end) return this.#fail()
    for (let i = 0; i < count; i++) {
      const device = this.#word(this.#at)
      this.#at += DEVICE_BYTES
      if (i > 0 && device <= (user.devices[i - 1] as number)) return this.#fail()
      user.devices[i] = device
    }
    user.deviceCount = count
    return !this.failed
  }

  #word(at: number): number {
    const bytes = this.#bytes
    const high = (bytes[at + 3] as number) << 24
    return ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | high) >>> 0
  }

  #number(): number {
    const bytes = this.#bytes
    const first = bytes[this.#at++] as number
    if (first < 128) return first
    let value = first - 128
    let byte = first
    for (let scale = 128; byte > 127 && scale < 2 ** (7 * LONGEST_NUMBER); scale *= 128) {
      byte = bytes[this.#at++] as number
      value += (byte & 127) * scale
    }
    // From behind all memory comes no number: the conditions are such that it fails them.
    if (!(byte < 128 && value <= Number.MAX_SAFE_INTEGER)) this.failed = true
    return value
  }

  #fail(): false {
    this.failed = true
    return false
  }
}

/** One for all texts: a reducer reads thousands of them in a second, each twice. */
const READER = new SampleReader()

/** @returns a reader of this text, good until it is asked for one of another */
export function readSample(text: string): SampleReader {
  READER.begin(text)
  return READER
}

/** Whether the text is a sample as a writer would have written it. */
export function isSampleText(text: string): boolean {
  const reader = readSample(text)
  while (reader.next());
  return !reader.failed
}

function paddingOf(text: string): number {
  if (text.endsWith('==')) return 2
  return text.endsWith('=') ? 1 : 0
}
