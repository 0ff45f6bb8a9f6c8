import { hashText, hashText53 } from './hash.ts'
import { SampleReader, SampleWriter } from './sampleText.ts'
import { joinInterval } from './sessions.ts'
import { addDevice, emptyUserRecord, type UserRecord } from './userRecord.ts'

/** A user's numbers stand in a row of `#rows`: hash, logins, first and last login, and a device's hash or NO_DEVICE. */
const ROW = 5
const LOGINS = 1
const FIRST = 2
const LAST = 3
const DEVICE = 4
const NO_DEVICE = -1
const FIRST_CAPACITY = 16

/** A user's hash by hashText53, and when the user logged in, epoch milliseconds. */
export type Login = { readonly userHash: number; readonly timeMs: number }

/** What few users have: more than one device or session. A list that is empty leaves it to the row. */
type More = { readonly devices: number[]; moreDevices: boolean; readonly intervals: number[] }

/**
 * The users of a set of logins, bounded: of more than `limit` users it keeps those with the smallest hashes, each with all
 * of their logins, devices and sessions. A user who is kept has been among the smallest at every moment and in every part,
 * so that the order of logins and parts does not matter: `merge` is commutative and associative. Hashes being as good as
 * random, those kept are a fair sample of all.
 *
 * Users are trimmed only when twice as many as the limit are held, so that a login costs a search at most.
 */
export class UserSample {
  readonly limit: number
  readonly gapMs: number
  #size = 0
  #rows = new Float64Array(ROW * FIRST_CAPACITY)
  /** As long as there are rows. */
  readonly #more: (More | undefined)[] = []
  /** A hash table of open addressing: 1 + the row's number, 0 where there is none. Its size is a power of two. */
  #slots = new Int32Array(2 * FIRST_CAPACITY)
  /** The greatest hash that may be kept; infinite while no user has been left out. */
  #ceiling = Number.POSITIVE_INFINITY
  /** Rows may be beyond the ceiling or the limit. */
  #loose = false
  readonly #record = emptyUserRecord()

  /**
   * @param limit users kept
   * @param gapMs logins of a user further apart than this are two sessions
   */
  constructor(limit: number, gapMs: number) {
    this.limit = limit
    this.gapMs = gapMs
  }

  /** Users held, at most twice the limit. */
  get size(): number {
    return this.#size
  }

  /** Whether there have been more users than are kept. */
  get overflow(): boolean {
    return this.#ceiling !== Number.POSITIVE_INFINITY || this.#size > this.limit
  }

  /** Counts a login; `deviceId` is null when it is not known. */
  add(userId: string, deviceId: string | null, timeMs: number): void {
    const row = this.login({ userHash: hashText53(userId), timeMs })
    if (row >= 0 && deviceId !== null) this.addDevice(row, hashText(deviceId))
  }

  /**
   * Counts a login of the user with this hash. It is taken in an object, which there is anyway: numbers of this size would
   * each become one on their way.
   * @returns the user's row, good until the next call of any method but `addDevice`; -1 when the user is not among those kept
   */
  login({ userHash: hash, timeMs }: Login): number {
    if (hash > this.#ceiling) return -1
    let row = this.#find(hash)
    if (row >= 0) this.#join(row, timeMs, timeMs)
    else row = this.#insert(hash, timeMs, timeMs)
    if (row >= 0) this.#rows[row * ROW + LOGINS]! += 1
    return row
  }

  /** Adds the users of another sample to this one's. */
  merge(other: UserSample): void {
    other.#settle()
    this.#lowerCeiling(other.#ceiling)
    for (let row = 0; row < other.#size; row++) this.#mergeUser(other.#load(row))
  }

  /**
   * Adds the users of a stored sample.
   * @throws RangeError when the text cannot be read as one
   */
  mergeText(text: string): void {
    const reader = new SampleReader(text)
    const { user } = reader
    while (reader.next()) {
      // So is everyone who follows, and its ceiling.
      if (user.hash > this.#ceiling) return
      this.#mergeUser(user)
    }
    if (reader.failed) throw new RangeError('a stored user sample cannot be read')
    if (reader.hadMoreUsers) this.#lowerCeiling(user.hash)
  }

  /** The stored form, the same for the same users; null when there are none. */
  toText(): string | null {
    this.#settle()
    if (this.#size === 0) return null
    const hashes = this.#hashes().sort()
    let baseMs = Number.POSITIVE_INFINITY
    for (const user of this.users()) baseMs = Math.min(baseMs, user.intervals[0] as number)
    const writer = new SampleWriter(this.#size, this.overflow, baseMs)
    for (const hash of hashes) writer.write(this.#load(this.#find(hash)))
    return writer.text()
  }

  /** The users kept, in no order. One object is filled again for each. */
  *users(): Generator<UserRecord> {
    this.#settle()
    for (let row = 0; row < this.#size; row++) yield this.#load(row)
  }

  #mergeUser(user: UserRecord): void {
    const { hash, intervals, devices } = user
    if (hash > this.#ceiling) return
    let row = this.#find(hash)
    let joined = 0
    if (row < 0) {
      row = this.#insert(hash, intervals[0] as number, intervals[1] as number)
      if (row < 0) return
      joined = 1
    }
    this.#rows[row * ROW + LOGINS]! += user.logins
    for (let i = joined; i < user.intervalCount; i++) {
      this.#join(row, intervals[2 * i] as number, intervals[2 * i + 1] as number)
    }
    for (let i = 0; i < user.deviceCount; i++) this.addDevice(row, devices[i] as number)
    if (user.moreDevices) this.#moreOf(row).moreDevices = true
  }

  /** Adds an interval to a user's sessions. */
  #join(row: number, first: number, last: number): void {
    const rows = this.#rows
    const at = row * ROW
    const more = this.#more[row]
    if (more !== undefined && more.intervals.length > 0) {
      const { intervals } = more
      joinInterval(intervals, first, last, this.gapMs)
      if (intervals.length > 2) return
      rows[at + FIRST] = intervals[0] as number
      rows[at + LAST] = intervals[1] as number
      intervals.length = 0
      return
    }
    const start = rows[at + FIRST] as number
    const end = rows[at + LAST] as number
    if (first - end <= this.gapMs && start - last <= this.gapMs) {
      if (first < start) rows[at + FIRST] = first
      if (last > end) rows[at + LAST] = last
    } else if (first > end) this.#moreOf(row).intervals.push(start, end, first, last)
    else this.#moreOf(row).intervals.push(first, last, start, end)
  }

  /** Adds the device with this hash, of which only the bits count, to those of the user in the row. */
  addDevice(row: number, hash: number): void {
    const device = hash >>> 0
    const at = row * ROW + DEVICE
    const known = this.#rows[at] as number
    if (known === device) return
    const more = this.#more[row]
    if (more !== undefined && more.devices.length > 0) {
      if (addDevice(more.devices, device)) more.moreDevices = true
    } else if (known === NO_DEVICE) this.#rows[at] = device
    else this.#moreOf(row).devices.push(Math.min(known, device), Math.max(known, device))
  }

  #moreOf(row: number): More {
    let more = this.#more[row]
    if (more === undefined) {
      more = { devices: [], moreDevices: false, intervals: [] }
      this.#more[row] = more
    }
    return more
  }

  #load(row: number): UserRecord {
    const record = this.#record
    const { devices, intervals } = record
    const at = row * ROW
    const rows = this.#rows
    record.hash = rows[at] as number
    record.logins = rows[at + LOGINS] as number
    const more = this.#more[row]
    intervals[0] = rows[at + FIRST] as number
    intervals[1] = rows[at + LAST] as number
    record.intervalCount = 1
    devices[0] = rows[at + DEVICE] as number
    record.deviceCount = devices[0] === NO_DEVICE ? 0 : 1
    record.moreDevices = more?.moreDevices ?? false
    if (more === undefined) return record
    if (more.intervals.length > 0) {
      for (let i = 0; i < more.intervals.length; i++) intervals[i] = more.intervals[i] as number
      record.intervalCount = more.intervals.length / 2
    }
    if (more.devices.length > 0) {
      for (let i = 0; i < more.devices.length; i++) devices[i] = more.devices[i] as number
      record.deviceCount = more.devices.length
    }
    return record
  }

  /** The row of the user with this hash; -1 when there is none. */
  #find(hash: number): number {
    const slots = this.#slots
    const rows = this.#rows
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = (slots[slot] as number) - 1
      if (row < 0 || rows[row * ROW] === hash) return row
    }
  }

  /** A new user's row, without logins yet; -1 when it turns out that they are beyond what is kept. */
  #insert(hash: number, first: number, last: number): number {
    if (this.#size === 2 * this.limit) {
      this.#settle()
      if (hash > this.#ceiling) return -1
    }
    if (this.#size * ROW === this.#rows.length) this.#grow()
    const row = this.#size++
    if (this.#size > this.limit) this.#loose = true
    const rows = this.#rows
    const at = row * ROW
    rows[at] = hash
    rows[at + LOGINS] = 0
    rows[at + FIRST] = first
    rows[at + LAST] = last
    rows[at + DEVICE] = NO_DEVICE
    this.#more.push(undefined)
    this.#place(hash, row)
    return row
  }

  #place(hash: number, row: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = row + 1
  }

  #grow(): void {
    const capacity = Math.min((2 * this.#rows.length) / ROW, Math.max(2 * this.limit, FIRST_CAPACITY))
    const rows = new Float64Array(ROW * capacity)
    rows.set(this.#rows)
    this.#rows = rows
    this.#placeAll(2 ** Math.ceil(Math.log2(2 * capacity)))
  }

  #placeAll(slots: number): void {
    if (slots === this.#slots.length) this.#slots.fill(0)
    else this.#slots = new Int32Array(slots)
    for (let row = 0; row < this.#size; row++) this.#place(this.#rows[row * ROW] as number, row)
  }

  #hashes(): Float64Array {
    const hashes = new Float64Array(this.#size)
    for (let row = 0; row < this.#size; row++) hashes[row] = this.#rows[row * ROW] as number
    return hashes
  }

  /** Another part has left out users past this hash: what is known of such a user here is not whole. */
  #lowerCeiling(ceiling: number): void {
    if (ceiling >= this.#ceiling) return
    this.#ceiling = ceiling
    this.#loose = true
  }

  /** Lets go of users beyond the limit and the ceiling. */
  #settle(): void {
    if (!this.#loose) return
    this.#loose = false
    if (this.#size > this.limit) {
      const last = this.#hashes().sort()[this.limit - 1] as number
      if (last < this.#ceiling) this.#ceiling = last
    }
    const rows = this.#rows
    let kept = 0
    for (let row = 0; row < this.#size; row++) {
      const at = row * ROW
      if ((rows[at] as number) > this.#ceiling) continue
      for (let i = 0; i < ROW; i++) rows[kept * ROW + i] = rows[at + i] as number
      this.#more[kept++] = this.#more[row]
    }
    this.#size = kept
    this.#more.length = kept
    this.#placeAll(this.#slots.length)
  }
}
