import { optionalBits } from './codes.ts'
import { DEFAULT_MAX_DEPTH } from './fields.ts'
import { NO_IPV4 } from './ip.ts'
import { areInKernel, KERNEL, KERNEL_BYTES } from './kernel.ts'
import { LAYOUT } from './kernelLayout.ts'
import { type LoginEvent, MEMBER_WIDTH } from './loginEvent.ts'
import type { EventRules } from './parse.ts'
import { setSlot, type TermField, termOfField, UNKNOWN_TERMS } from './textSlots.ts'

/** What a batch says of all its records. */
export type SliceBase = {
  readonly baseOffset: number
  /** Epoch milliseconds. */
  readonly baseTimestamp: number
  /** The broker's time of appending, where that is the records' timestamp. */
  readonly appendTime: number | null
}

const { ROWS, ROW_BYTES, MEMBERS, MEMBERS_BYTES, INPUT, INPUT_BYTES, READ, UNKNOWN_TEXT } = LAYOUT
const INTS = new Int32Array(KERNEL_BYTES.buffer)
const FLOATS = new Float64Array(KERNEL_BYTES.buffer)
/** A row begins at a multiple of these. */
const ROW_INTS = ROW_BYTES / 4
const ROWS_AT = ROWS / 4
const int = (field: Exclude<keyof typeof LAYOUT, 'TIME_MS' | 'USER_HASH' | 'TIMESTAMP_DELTA'>) => LAYOUT[field] / 4
const STATUS = int('STATUS')
const OFFSET_DELTA = int('OFFSET_DELTA')
const KEY_START = int('KEY_START')
const KEY_END = int('KEY_END')
const VALUE_START = int('VALUE_START')
const VALUE_END = int('VALUE_END')
const HEADERS_AT = int('HEADERS_AT')
const HEADER_COUNT = int('HEADER_COUNT')
const USER_START = int('USER_START')
const USER_END = int('USER_END')
const DEVICE_SLOT = int('TEXT_SLOTS')
const LOCALE_SLOT = DEVICE_SLOT + 1
const VERSION_SLOT = DEVICE_SLOT + 2
const DEVICE_ID_START = int('DEVICE_ID_START')
const DEVICE_ID_END = int('DEVICE_ID_END')
const IP_START = int('IP_START')
const IP_END = int('IP_END')
const IPV4 = int('IPV4')
const MISSING = int('MISSING')
const OTHER_MEMBERS = int('OTHER_MEMBERS')
const SPACED = int('SPACED')
const MEMBER_COUNT = int('MEMBER_COUNT')
const TEXT_AT = int('TEXT_AT')
const TIMESTAMP_DELTA = LAYOUT.TIMESTAMP_DELTA / 8
const TIME_MS = LAYOUT.TIME_MS / 8
const USER_HASH = LAYOUT.USER_HASH / 8
const MOST_DELTA = 2 ** 31 - 1

const decoder = new TextDecoder()
const QUOTE = 0x22

/** What makes events simply more of some windows'. Times are epoch milliseconds. */
export type RunRules = {
  /** The offset at which the run ends at the latest. */
  readonly limit: number
  /** Where the first of the windows begins that WINDOW_RUNS are of. */
  readonly startMs: number
  /** Of each window. */
  readonly sizeMs: number
  /** The most that an event may be ahead of its record. */
  readonly skewMs: number
  /** Whether the run ends at a record that may have the context of a sampled trace. */
  readonly looksForTraces: boolean
}

/**
 * Records of one partition, taken apart and read as events by the kernel a slice at a time. What the kernel does not
 * read, the parser has the word on; what it does read, both read alike. All slices of a process share the kernel's memory:
 * a slice is good until the next one is taken, whoever takes it.
 */
export class EventSlice {
  /** Holds the keys, values and headers of the records. */
  readonly bytes: Uint8Array = KERNEL_BYTES
  /** How many records there are. */
  size = 0
  readonly #maxEventBytes: number
  readonly #required: number
  readonly #keepsFields: boolean
  #baseOffset = 0
  #baseTimestamp = 0
  #appendTime: number | null = null

  /** @param keepsFields whether `event.members` tells where members stand, as enrichment needs it */
  constructor(
    { maxEventBytes, maxEventDepth = DEFAULT_MAX_DEPTH, validationRequired }: EventRules,
    keepsFields: boolean,
  ) {
    // Where not even an event itself may nest, none is read here.
    this.#maxEventBytes = maxEventDepth > 0 ? Math.min(maxEventBytes, INPUT_BYTES) : 0
    this.#required = optionalBits(validationRequired)
    this.#keepsFields = keepsFields
  }

  /**
   * Takes as many of the next records as it has room for.
   * @param bytes hold whole records, known to be sound, in [start, end)
   * @param count how many there are
   * @returns where the records end that it took; `start` when not even the first fits
   */
  take(bytes: Uint8Array, start: number, end: number, count: number, base: SliceBase): number {
    const isHere = areInKernel(bytes)
    const from = isHere ? bytes.byteOffset + start : INPUT
    const length = isHere ? end - start : Math.min(end - start, INPUT_BYTES)
    if (!isHere) KERNEL_BYTES.set(bytes.subarray(start, start + length), INPUT)
    KERNEL.setRules(this.#maxEventBytes, this.#required, Number(this.#keepsFields))
    this.size = KERNEL.take(from, length, count)
    this.#baseOffset = base.baseOffset
    this.#baseTimestamp = base.baseTimestamp
    this.#appendTime = base.appendTime
    return start + KERNEL.end() - from
  }

  offset(row: number): number {
    return this.#baseOffset + (INTS[ROWS_AT + row * ROW_INTS + OFFSET_DELTA] as number)
  }

  /** Epoch milliseconds. */
  timestamp(row: number): number {
    return (
      this.#appendTime ?? this.#baseTimestamp + (FLOATS[(ROWS_AT + row * ROW_INTS) / 2 + TIMESTAMP_DELTA] as number)
    )
  }

  /** This and the following are positions in `bytes`; -1 when the record has no key. */
  keyStart(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + KEY_START] as number
  }

  keyEnd(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + KEY_END] as number
  }

  /** -1 when the record has no value. */
  valueStart(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + VALUE_START] as number
  }

  valueEnd(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + VALUE_END] as number
  }

  headersAt(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + HEADERS_AT] as number
  }

  headerCount(row: number): number {
    return INTS[ROWS_AT + row * ROW_INTS + HEADER_COUNT] as number
  }

  /**
   * Counts the events of rows from `first` on into WINDOW_RUNS, for as long as they are simply more of their windows'; the
   * rest is for who looks at each.
   * @param clockMs the partition's clock before the run; `runClock` has it afterwards
   * @returns the row at which the run has ended
   */
  countRun(first: number, rules: RunRules, clockMs: number): number {
    const { limit, startMs, sizeMs, skewMs } = rules
    const delta = Math.min(limit - this.#baseOffset, MOST_DELTA)
    const [base, append] = [this.#baseTimestamp, this.#appendTime]
    const has = append === null ? 0 : 1
    const looks = rules.looksForTraces ? 1 : 0
    return KERNEL.countRun(first, this.size, delta, startMs, sizeMs, base, append ?? 0, has, skewMs, clockMs, looks)
  }

  /** The clock behind the last run. */
  get runClock(): number {
    return KERNEL.runClock()
  }

  /** Fills `event` from the record's value and tells whether it could. */
  read(row: number, event: LoginEvent): boolean {
    const at = ROWS_AT + row * ROW_INTS
    if (INTS[at + STATUS] !== READ && !this.#readAgain(row, at)) return false
    if (event.bytes !== KERNEL_BYTES) event.hold(KERNEL_BYTES)
    const missing = INTS[at + MISSING] as number
    event.start = INTS[at + VALUE_START] as number
    event.end = INTS[at + VALUE_END] as number
    event.timeMs = FLOATS[at / 2 + TIME_MS] as number
    event.missing = missing
    event.invalid = 0
    event.device = termOfField(0, INTS[at + DEVICE_SLOT] as number)
    event.localeTerm = termOfField(1, INTS[at + LOCALE_SLOT] as number)
    event.version = termOfField(2, INTS[at + VERSION_SLOT] as number)
    event.place = null
    event.userHash = FLOATS[at / 2 + USER_HASH] as number
    event.userStart = INTS[at + USER_START] as number
    event.userEnd = INTS[at + USER_END] as number
    event.deviceIdStart = INTS[at + DEVICE_ID_START] as number
    event.deviceIdEnd = INTS[at + DEVICE_ID_END] as number
    event.ipStart = INTS[at + IP_START] as number
    event.ipEnd = INTS[at + IP_END] as number
    event.ipv4 = event.ipStart < 0 ? NO_IPV4 : (INTS[at + IPV4] as number) >>> 0
    event.otherMembers = INTS[at + OTHER_MEMBERS] as number
    event.spaced = INTS[at + SPACED] === 1
    event.traceparent = null
    event.userText = null
    event.deviceIdText = null
    event.ipText = null
    event.keepsFields = this.#keepsFields
    event.knownFields = null
    event.memberCount = INTS[at + MEMBER_COUNT] as number
    if (this.#keepsFields) this.#readMembers(row, event)
    return true
  }

  #readMembers(row: number, { members, memberCount }: LoginEvent): void {
    const from = (MEMBERS + row * MEMBERS_BYTES) / 4
    for (let i = 0; i < MEMBER_WIDTH * memberCount; i++) members[i] = INTS[from + i] as number
  }

  /** Teaches the kernel the texts of a row that it does not know, and has it read the row with them. */
  #readAgain(row: number, at: number): boolean {
    let status = INTS[at + STATUS] as number
    // Each of the fields once at most: what was learned for the row before is found.
    for (let tries = 0; tries < UNKNOWN_TERMS.length && status >= UNKNOWN_TEXT; tries++) {
      const field = (status - UNKNOWN_TEXT) as TermField
      const quoteAt = INTS[at + TEXT_AT] as number
      const slot = KERNEL.learn(field, quoteAt)
      if (slot < 0) return false
      const text = decoder.decode(KERNEL_BYTES.subarray(quoteAt + 1, KERNEL_BYTES.indexOf(QUOTE, quoteAt + 1)))
      setSlot(field, slot, text)
      status = KERNEL.again(row)
    }
    return status === READ
  }
}
