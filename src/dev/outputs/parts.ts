import type { RecountHeader } from '../../audit/event.ts'

/** Takes what a record says, part by part. */
export type PartSink = {
  text(name: string, text: string): void
  bytes(name: string, bytes: Uint8Array | null): void
  /** A field of a JSON object; undefined stands for any value of the right shape, where the log does not tell which. */
  field(name: string, value: unknown): void
}

/** A record as it says its parts. */
export type Parts = (sink: PartSink) => void

type Seeds = { readonly first: number; readonly second: number }

const FIRST = 0x2c1b3c6d
const SECOND = 0x297a2d39
const FIRST_MULTIPLIER = 0x85ebca6b
const SECOND_MULTIPLIER = 0xc2b2ae35
const TEXT = 1
const BYTES = 2
const NO_BYTES = 3
const STRING = 4
const JSON_VALUE = 5
const ANY_VALUE = 6
/** Bits that a number has room for beside the first lane's 32. */
const SECOND_LANE = 2 ** 20
const KNOWN_NAMES = 10_000

/** Sums up 52 bits that differ when the parts do, in whatever order they come: records are held by their fingerprints alone. */
export class Fingerprint implements PartSink {
  #first = 0
  #second = 0
  readonly #seeds = new Map<string, Seeds>()

  of(parts: Parts): number {
    this.#first = 0
    this.#second = 0
    parts(this)
    return (this.#second >>> 12) + (this.#first >>> 0) * SECOND_LANE
  }

  text(name: string, text: string): void {
    this.#addText(name, TEXT, text)
  }

  bytes(name: string, bytes: Uint8Array | null): void {
    const seeds = this.#seedsOf(name)
    let first = seeds.first + (bytes === null ? NO_BYTES : BYTES)
    let second = seeds.second ^ (bytes?.length ?? 0)
    for (let i = 0; bytes !== null && i < bytes.length; i++) {
      first = Math.imul(first ^ bytes[i]!, FIRST_MULTIPLIER)
      second = Math.imul(second ^ bytes[i]!, SECOND_MULTIPLIER)
      first ^= first >>> 15
      second ^= second >>> 13
    }
    this.#add(first, second)
  }

  field(name: string, value: unknown): void {
    if (typeof value === 'string') this.#addText(name, STRING, value)
    else if (value === undefined) this.#addText(name, ANY_VALUE, '')
    else this.#addText(name, JSON_VALUE, JSON.stringify(value))
  }

  #addText(name: string, kind: number, text: string): void {
    const seeds = this.#seedsOf(name)
    let first = seeds.first + kind
    let second = seeds.second ^ text.length
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      first = Math.imul(first ^ unit, FIRST_MULTIPLIER)
      second = Math.imul(second ^ unit, SECOND_MULTIPLIER)
      first ^= first >>> 15
      second ^= second >>> 13
    }
    this.#add(first, second)
  }

  #add(first: number, second: number): void {
    const mixed = Math.imul(first ^ (first >>> 16), SECOND_MULTIPLIER)
    this.#first = (this.#first + (mixed ^ (mixed >>> 13))) | 0
    const other = Math.imul(second ^ (second >>> 15), FIRST_MULTIPLIER)
    this.#second = (this.#second + (other ^ (other >>> 16))) | 0
  }

  #seedsOf(name: string): Seeds {
    let seeds = this.#seeds.get(name)
    if (seeds === undefined) {
      let [first, second] = [FIRST, SECOND]
      for (let i = 0; i < name.length; i++) {
        first = Math.imul((first ^ name.charCodeAt(i)) + i, FIRST_MULTIPLIER)
        second = Math.imul((second ^ name.charCodeAt(i)) - i, SECOND_MULTIPLIER)
      }
      seeds = { first: first ^ (first >>> 15), second: second ^ (second >>> 15) }
      if (this.#seeds.size >= KNOWN_NAMES) this.#seeds.clear()
      this.#seeds.set(name, seeds)
    }
    return seeds
  }
}

const LONG = 1_000

/** Keeps parts by their names to be compared one by one: of a long text its length and fingerprint only. */
export class PartList implements PartSink {
  readonly texts = new Map<string, string>()

  constructor(parts: Parts) {
    parts(this)
  }

  text(name: string, text: string): void {
    const long = () => `${text.length} characters, ${new Fingerprint().of(sink => sink.text(name, text))}`
    this.texts.set(name, text.length <= LONG ? text : long())
  }

  bytes(name: string, bytes: Uint8Array | null): void {
    this.text(name, bytesText(bytes))
  }

  field(name: string, value: unknown): void {
    this.text(`field ${name}`, value === undefined ? 'any value' : JSON.stringify(value))
  }

  /** The names of the parts that are not equal. */
  differences(other: PartList): string[] {
    const names = new Set([...this.texts.keys(), ...other.texts.keys()])
    return [...names].filter(name => this.texts.get(name) !== other.texts.get(name))
  }
}

/** Bytes as a text of one character each, so that any bytes can be compared; a text counts as its UTF-8. */
export function bytesText(bytes: string | Uint8Array | null): string {
  if (bytes === null) return 'none'
  return `=${viewOf(bytes).toString('latin1')}`
}

export const utf8Text = (bytes: string | Uint8Array) => (typeof bytes === 'string' ? bytes : viewOf(bytes).toString())

/** Headers in their order as one text. */
export function headersText(headers: readonly RecountHeader[]): string {
  return headers.length === 0 ? '' : JSON.stringify(headers.map(([name, value]) => [name, bytesText(value)]))
}

/** At least how many bytes headers come to. */
export function headerBytes(headers: readonly RecountHeader[]): number {
  return headers.reduce((sum, [name, value]) => sum + 3 * name.length + (value === null ? 0 : value.length), 0)
}

function viewOf(bytes: string | Uint8Array): Buffer {
  if (typeof bytes === 'string') return Buffer.from(bytes)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
