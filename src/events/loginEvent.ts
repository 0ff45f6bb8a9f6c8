import { ADDED_FIELDS, UNKNOWN } from './fields.ts'
import { UNKNOWN_DEVICE, UNKNOWN_LOCALE, UNKNOWN_VERSION } from './fieldTerms.ts'
import { NO_IPV4 } from './ip.ts'
import type { Term } from './term.ts'

/** A JSON object as JSON.parse makes it: `__proto__` is a key like others, and of equal keys the last counts. */
export type JsonObject = Readonly<Record<string, unknown>>

/** The names that an event's members are known by: those that come in, then those that enrichment adds. */
export const MEMBER_NAMES = [
  'user_id',
  'timestamp',
  'device_type',
  'device_id',
  'locale',
  'app_version',
  'ip',
  ...ADDED_FIELDS,
] as const

/** Numbers that are kept of each member: see `LoginEvent.members`. */
export const MEMBER_WIDTH = 4

const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * A login event as it is counted and enriched. One object is filled again and again: read it before the next parse, and
 * while the bytes that it was read from still stand.
 */
export class LoginEvent {
  /** The record's value: bytes [start, end). `view` is of the same bytes. */
  bytes: Uint8Array = NO_BYTES
  view: DataView = NO_VIEW
  start = 0
  end = 0
  /** Event time, epoch milliseconds. */
  timeMs = 0
  /** Optional fields that were absent, null or empty, and those of a wrong type or out of bounds, as bits of OPTIONAL_FIELDS. */
  missing = 0
  invalid = 0
  /** By the table of device types, not as it came. These hold `unknown` when the field was missing or invalid. */
  device: Term = UNKNOWN_DEVICE
  localeTerm: Term = UNKNOWN_LOCALE
  /** `derived` is the version's category. */
  version: Term = UNKNOWN_VERSION
  /** Where it came from: country and, as `derived`, region. Null until whoever counts the event has looked it up. */
  place: Term | null = null
  /** hashText53 of the user id. */
  userHash = 0
  /** Where `bytes` hold the user id in plain UTF-8 that needs no unescaping; -1 when it is known as text only. */
  userStart = -1
  userEnd = -1
  /** Likewise; -1 also when the device id was missing or invalid. */
  deviceIdStart = -1
  deviceIdEnd = -1
  /** Likewise of an address, whatever its kind. */
  ipStart = -1
  ipEnd = -1
  /** The address as an unsigned 32-bit number, or NO_IPV4. */
  ipv4 = NO_IPV4
  /**
   * Of each member of the object whose name is one of MEMBER_NAMES, in the order in which they came: the name's number,
   * where its opening quote stands, where its value begins, and where the value ends, as positions in `bytes`. No name
   * comes twice.
   */
  readonly members = new Int32Array(MEMBER_WIDTH * MEMBER_NAMES.length)
  /**
   * How many there are, where the parser keeps fields; -1 when the event was not read from its bytes in place, so that
   * `fields` alone tells.
   */
  memberCount = -1
  /** Members with other names; each is sound JSON, however it is spelled. */
  otherMembers = 0
  /** Whether there is blank space outside of strings, at the level of the members. */
  spaced = false
  /** The trace context of a structured CloudEvent, as it came; null when it brought none. */
  traceparent: string | null = null

  /** Texts, where they were asked for or are all that is known. */
  userText: string | null = null
  deviceIdText: string | null = null
  ipText: string | null = null
  /** Whether the parser keeps fields for enrichment, and the fields where they were asked for or are all that is known. */
  keepsFields = false
  knownFields: JsonObject | null = null

  /** Takes other bytes to read from. */
  hold(bytes: Uint8Array): void {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Lets go of the bytes: only what needs none of them may be asked for until the next parse. */
  release(): void {
    this.bytes = NO_BYTES
    this.view = NO_VIEW
  }

  get userId(): string {
    this.userText ??= textOf(this.bytes, this.userStart, this.userEnd)
    return this.userText
  }

  /** This and the following hold what came, or `unknown` when it was missing or invalid. */
  get deviceId(): string {
    this.deviceIdText ??= textOf(this.bytes, this.deviceIdStart, this.deviceIdEnd)
    return this.deviceIdText
  }

  get ip(): string {
    this.ipText ??= textOf(this.bytes, this.ipStart, this.ipEnd)
    return this.ipText
  }

  get deviceType(): string {
    return this.device.text
  }

  get locale(): string {
    return this.localeTerm.text
  }

  get appVersion(): string {
    return this.version.text
  }

  /** All fields of the event as they came, for enrichment; null unless the parser keeps them. */
  get fields(): JsonObject | null {
    if (!this.keepsFields) return null
    this.knownFields ??= JSON.parse(decoder.decode(this.bytes.subarray(this.start, this.end))) as JsonObject
    return this.knownFields
  }
}

export function emptyEvent(): LoginEvent {
  return new LoginEvent()
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return start < 0 ? UNKNOWN : decoder.decode(bytes.subarray(start, end))
}
