import type { Logins } from '../events/windowRun.ts'
import { hashText, hashText53 } from './hash.ts'
import { NO_ROOM, ROW, SAMPLE_ROOMS, type SampleRoom } from './sampleRoom.ts'
import { readSample, SampleWriter } from './sampleText.ts'
import { joinInterval } from './sessions.ts'
import { addDevice, emptyUserRecord, type UserRecord } from './userRecord.ts'

/**
 * A user's numbers stand in a row of `#rows`: logins, first and last login, and a device's hash or NO_DEVICE. Of a user with
 * more than one session, those logins are NaN, which is neither before nor after any time.
 */
const LOGINS = 0
const FIRST = 1
const LAST = 2
const DEVICE = 3
const NO_DEVICE = -1
const FIRST_CAPACITY = 16
/** How much more room is made at once: a sample of many users is soon as large as it gets. */
const GROWTH = 4
/** Of the limit, about how many users are left once there were twice as many. */
const TRIMMED_TO = 1.1

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
  #room: SampleRoom = NO_ROOM
  /** The user of each row, by themselves: a search reads nothing else, and they can be sorted. */
  #hashes = NO_ROOM.hashes
  #rows = NO_ROOM.rows
  /** As long as there are rows. */
  readonly #more: (More | undefined)[] = []
  /** A hash table of open addressing: 1 + the row's number, 0 where there is none. Its size is a power of two. */
  #slots = NO_ROOM.slots
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

  /**
   * The greatest hash that may be kept; infinite while no user has been left out. It only ever falls: of a user whose hash
   * was above it once, `login` does nothing, so that whoever has many logins need not call it for them.
   */
  get ceiling(): number {
    return this.#ceiling
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

  /**
   * Counts the first `count` logins with their devices, as `login` and `addDevice` do. What nearly all of them need is done
   * in place: numbers of this size that go from one function to another become objects on their way.
   */
  loginAll({ users, times, devices }: Logins, count: number): void {
    for (let i = 0; i < count; i++) {
      const hash = users[i] as number
      if (hash > this.#ceiling) continue
      const [slots, hashes] = [this.#slots, this.#hashes]
      const mask = slots.length - 1
      let slot = hash & mask
      let row = (slots[slot] as number) - 1
      while (row >= 0 && hashes[row] !== hash) {
        slot = (slot + 1) & mask
        row = (slots[slot] as number) - 1
      }
      const timeMs = times[i] as number
      if (row < 0) {
        row = this.#insert(hash, timeMs, timeMs)
        if (row < 0) continue
      }
      const rows = this.#rows
      const at = row * ROW
      const last = rows[at + LAST] as number
      if (timeMs > last && timeMs - last <= this.gapMs) rows[at + LAST] = timeMs
      // Not so, either, where there are more sessions than the row holds.
      else if (!(timeMs >= (rows[at + FIRST] as number) && timeMs <= last)) this.#join(row, timeMs, timeMs)
      rows[at + LOGINS]! += 1
      const device = devices[i] as number
      if (device !== NO_DEVICE && device !== rows[at + DEVICE]) this.addDevice(row, device)
    }
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
    const reader = readSample(text)
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
    const sorted = this.#settle() ?? this.#sortedHashes()
    if (this.#size === 0) return null
    const writer = new SampleWriter(this.#size, this.overflow, this.#firstLogin())
    for (let i = 0; i < this.#size; i++) writer.write(this.#load(this.#find(sorted[i] as number)))
    return writer.text()
  }

  /** The users kept, in no order. One object is filled again for each. */
  *users(): Generator<UserRecord> {
    this.#settle()
    for (let row = 0; row < this.#size; row++) yield this.#load(row)
  }

  /** Forgets all users; what they stood in may be another sample's from now on. */
  release(): void {
    this.#size = 0
    this.#more.length = 0
    this.#ceiling = Number.POSITIVE_INFINITY
    this.#loose = false
    this.#moveTo(NO_ROOM)
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
    } else {
      if (first > end) this.#moreOf(row).intervals.push(start, end, first, last)
      else this.#moreOf(row).intervals.push(first, last, start, end)
      rows[at + FIRST] = Number.NaN
      rows[at + LAST] = Number.NaN
    }
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
    record.hash = this.#hashes[row] as number
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
    const hashes = this.#hashes
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = (slots[slot] as number) - 1
      if (row < 0 || hashes[row] === hash) return row
    }
  }

  /** A new user's row, without logins yet; -1 when it turns out that they are beyond what is kept. */
  #insert(hash: number, first: number, last: number): number {
    if (this.#size === 2 * this.limit) {
      this.#trim()
      if (hash > this.#ceiling) return -1
    }
    if (this.#size === this.#hashes.length) this.#grow()
    const row = this.#size++
    if (this.#size > this.limit) this.#loose = true
    const rows = this.#rows
    const at = row * ROW
    this.#hashes[row] = hash
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
    const most = Math.max(2 * this.limit, FIRST_CAPACITY)
    const room = SAMPLE_ROOMS.take(Math.min(Math.max(GROWTH * this.#size, FIRST_CAPACITY), most))
    room.hashes.set(this.#hashes)
    room.rows.set(this.#rows)
    this.#moveTo(room)
    this.#placeAll()
  }

  #moveTo(room: SampleRoom): void {
    SAMPLE_ROOMS.give(this.#room)
    this.#room = room
    this.#hashes = room.hashes
    this.#rows = room.rows
    this.#slots = room.slots
  }

  #placeAll(): void {
    this.#slots.fill(0)
    for (let row = 0; row < this.#size; row++) this.#place(this.#hashes[row] as number, row)
  }

  /** Of numbers that are not negative the order is that of their bits, and those are sorted in less than half the time. */
  #sortedHashes(): Float64Array {
    const bits = new BigUint64Array(this.#hashes.buffer, 0, this.#size).slice().sort()
    return new Float64Array(bits.buffer)
  }

  /** The least first login of all users. */
  #firstLogin(): number {
    let least = Number.POSITIVE_INFINITY
    for (let row = 0; row < this.#size; row++) {
      const first = this.#more[row]?.intervals[0] ?? (this.#rows[row * ROW + FIRST] as number)
      if (first < least) least = first
    }
    return least
  }

  /** Another part has left out users past this hash: what is known of such a user here is not whole. */
  #lowerCeiling(ceiling: number): void {
    if (ceiling >= this.#ceiling) return
    this.#ceiling = ceiling
    this.#loose = true
  }

  /**
   * Lets go of users beyond the limit and the ceiling.
   * @returns the hashes in ascending order, first of those kept, if that was needed to tell them; else null
   */
  #settle(): Float64Array | null {
    if (!this.#loose) return null
    this.#loose = false
    const sorted = this.#size > this.limit ? this.#sortedHashes() : null
    const last = sorted === null ? this.#ceiling : (sorted[this.limit - 1] as number)
    if (last < this.#ceiling) this.#ceiling = last
    this.#dropAboveCeiling()
    return sorted
  }

  /**
   * Makes room: the ceiling may as well be somewhat higher than the last hash that will be kept in the end. Hashes being as
   * good as random, it is known without sorting them about where that lies; where they are not, `settle` tells.
   */
  #trim(): void {
    const hashes = this.#hashes
    let greatest = 0
    for (let row = 0; row < this.#size; row++) greatest = Math.max(greatest, hashes[row] as number)
    const guess = (greatest * TRIMMED_TO * this.limit) / this.#size
    let below = 0
    for (let row = 0; row < this.#size; row++) below += Number((hashes[row] as number) <= guess)
    const isGood = below >= this.limit && below <= TRIMMED_TO * TRIMMED_TO * this.limit && guess < this.#ceiling
    if (isGood) {
      this.#ceiling = guess
      this.#dropAboveCeiling()
    } else this.#settle()
  }

  #dropAboveCeiling(): void {
    const [hashes, ceiling] = [this.#hashes, this.#ceiling]
    let kept = 0
    for (let row = 0; row < this.#size; row++) {
      const hash = hashes[row] as number
      if (hash > ceiling) continue
      if (kept < row) {
        hashes[kept] = hash
        this.#moveRow(row, kept)
      }
      kept++
    }
    this.#size = kept
    this.#more.length = kept
    this.#placeAll()
  }

  /** What is known of the user in a row, to a row before it. */
  #moveRow(from: number, to: number): void {
    const rows = this.#rows
    for (let i = 0; i < ROW; i++) rows[to * ROW + i] = rows[from * ROW + i] as number
    this.#more[to] = this.#more[from]
  }
}
