import { textOfIpv4 } from '../events/ip.ts'
import type { GeoPlace, Ipv4Lookup, PlaceTable, PlaceTally } from '../events/place.ts'
import { placeTermOf } from '../events/placeTerms.ts'
import type { Term } from '../events/term.ts'
import { type ReservedShare, reservedShare } from './reserved.ts'

/** The search tree of a MaxMind database: nodes of two records each, from the start of the file. */
export type MmdbTree = {
  readonly bytes: Uint8Array
  readonly nodeCount: number
  /** Of one record. */
  readonly recordBits: number
  /** Addresses of which family the tree is of; one of IPv6 holds those of IPv4 under 96 zeros. */
  readonly ipVersion: number
}

const BLOCKS = 1 << 16
const BLOCK_BITS = 16
/** Addresses in a block, and what is left of an address within its block. */
const BLOCK_SIZE = 1 << 16
const REST = BLOCK_SIZE - 1
const NOWHERE_FOUND = -1
/** What stands for all places beyond those that have a number; no honest database has a tenth as many. */
const UNNUMBERED = 0xffff

/**
 * The places of IPv4 addresses, in a form of its own: of each /16 block its ranges in ascending order. A block is worked
 * out from the tree when it is asked for first, so that nothing is to be waited for at the start: about a microsecond a
 * block, since events that come from all over the world ask for all of them soon. From then on a search costs about the same for a million addresses as for one. The places of all blocks come to at
 * most a few MB.
 */
export class Ipv4Places implements Ipv4Lookup, PlaceTable {
  readonly #tree: MmdbTree
  /** Its node for the first of all IPv4 addresses. */
  readonly #root: number
  readonly #search: (ip: string) => GeoPlace
  /**
   * Of each block twice the number of its place and one, where all of it is one place, as of six in seven; else twice where
   * its ranges stand, in front of which is how many there are. 0 while it is not known.
   */
  readonly #blocks = new Int32Array(BLOCKS)
  /** Of each range, in the upper half the first address within its block, in the lower half the number of its place. */
  #ranges = new Uint32Array(1024)
  /** Of the addresses that `tally` was given last, those in blocks of many places. */
  #shared = new Int32Array(0)
  #size = 1
  /** What `tally` has asked for early; of no use by itself. */
  touched = 0
  readonly terms: Term[] = []
  readonly #numbers = new Map<Term, number>()
  /** The numbers of places by the tree's records that lead to them. */
  readonly #byRecord = new Map<number, number>()

  /** @param search the place of an address in dotted decimal, as the database itself tells it */
  constructor(tree: MmdbTree, search: (ip: string) => GeoPlace) {
    this.#tree = tree
    this.#search = search
    this.#root = this.#findRoot()
  }

  termOf(address: number): Term {
    const number = this.#numberAt(address)
    return number === UNNUMBERED ? this.#unnumbered(address) : (this.terms[number] as Term)
  }

  /**
   * What lookups read lies far apart in memory, and most of it in no cache: asked for in loops that do nothing else, much of
   * it is on its way at the same time.
   */
  tally(addresses: Int32Array, count: number, into: PlaceTally): void {
    const blocks = this.#blocks
    for (let i = 0; i < count; i++) {
      const block = (addresses[i] as number) >>> BLOCK_BITS
      if (blocks[block] === 0) this.#workOut(block)
    }
    const counts = into.countsOf(this)
    if (this.#shared.length < count) this.#shared = new Int32Array(addresses.length)
    const shared = this.#shared
    let left = 0
    // Without a branch for whether a block is one place, which cannot be guessed: who is not counts nothing at number 0.
    for (let i = 0; i < count; i++) {
      const address = addresses[i] as number
      const entry = blocks[address >>> BLOCK_BITS] as number
      const one = entry & 1
      counts[(entry >> 1) & -one]! += one
      shared[left] = address
      left += 1 - one
    }
    this.#tallyShared(shared, left, counts, into)
  }

  #tallyShared(addresses: Int32Array, count: number, counts: Int32Array, into: PlaceTally): void {
    const [blocks, ranges] = [this.#blocks, this.#ranges]
    let touched = 0
    for (let i = 0; i < count; i++) {
      const at = (blocks[(addresses[i] as number) >>> BLOCK_BITS] as number) >> 1
      touched ^= ranges[at + ((ranges[at] as number) >>> 1)] as number
    }
    this.touched = touched
    for (let i = 0; i < count; i++) {
      const address = addresses[i] as number
      const number = this.#numberAt(address)
      if (number === UNNUMBERED) into.add(this.#unnumbered(address))
      else counts[number]! += 1
    }
  }

  /** The number of an address's place. */
  #numberAt(address: number): number {
    const block = address >>> BLOCK_BITS
    const entry = this.#blocks[block] || this.#workOut(block)
    if ((entry & 1) !== 0) return entry >> 1
    const ranges = this.#ranges
    const rest = address & REST
    let at = entry >> 1
    let left = ranges[at++] as number
    // By halves, without a branch for which of two: where addresses come from is not to be guessed.
    while (left > 1) {
      const half = left >>> 1
      at += half & ~((rest - ((ranges[at + half] as number) >>> BLOCK_BITS)) >> 31)
      left -= half
    }
    return (ranges[at] as number) & UNNUMBERED
  }

  #unnumbered(address: number): Term {
    return placeTermOf(this.#search(textOfIpv4(address)))
  }

  /** @returns what then stands for the block */
  #workOut(block: number): number {
    this.#append(0)
    const from = this.#size
    let node = this.#root
    for (let bit = BLOCK_BITS - 1; bit >= 0 && this.#isNode(node); bit--) node = this.#child(node, (block >>> bit) & 1)
    this.#walk(node, block, 0, BLOCK_SIZE, 'some')
    const place = (this.#ranges[from] as number) & UNNUMBERED
    if (this.#size === from + 1 && place !== UNNUMBERED) {
      this.#size = from - 1
      this.#blocks[block] = 2 * place + 1
    } else {
      this.#ranges[from - 1] = this.#size - from
      this.#blocks[block] = 2 * (from - 1)
    }
    return this.#blocks[block] as number
  }

  #append(value: number): void {
    if (this.#size === this.#ranges.length) this.#grow()
    this.#ranges[this.#size++] = value
  }

  /**
   * Notes the ranges of a network of that many addresses from `first` on in a block, which the record `node` leads to.
   * @param around how much is reserved of the network around it: nearly always nothing, and then no more is asked
   */
  #walk(node: number, block: number, first: number, size: number, around: ReservedShare): void {
    const reserved = around === 'some' ? reservedShare(block * BLOCK_SIZE + first, leadingBitsOf(size)) : around
    const isNode = this.#isNode(node)
    if (reserved === 'all' || (isNode && size === 1)) this.#note(block, first, NOWHERE_FOUND)
    else if (!isNode && reserved === 'none') this.#note(block, first, node)
    else {
      const half = size >>> 1
      this.#walk(isNode ? this.#child(node, 0) : node, block, first, half, reserved)
      this.#walk(isNode ? this.#child(node, 1) : node, block, first + half, half, reserved)
    }
  }

  #note(block: number, first: number, record: number): void {
    const place = this.#byRecord.get(record) ?? this.#placeOf(block, first, record)
    if (first !== 0 && ((this.#ranges[this.#size - 1] as number) & UNNUMBERED) === place) return
    this.#append(first * BLOCK_SIZE + place)
  }

  /** The number of the place that a record leads to which is met for the first time, at that address. */
  #placeOf(block: number, first: number, record: number): number {
    // Of reserved networks the search tells by itself that they are nowhere.
    const ip = record === NOWHERE_FOUND ? '0.0.0.0' : textOfIpv4(block * BLOCK_SIZE + first)
    const number = this.#numberOf(placeTermOf(this.#search(ip)))
    this.#byRecord.set(record, number)
    return number
  }

  #numberOf(term: Term): number {
    let number = this.#numbers.get(term)
    if (number === undefined) {
      number = this.terms.length
      if (number === UNNUMBERED) return UNNUMBERED
      this.terms.push(term)
      this.#numbers.set(term, number)
    }
    return number
  }

  #grow(): void {
    const ranges = new Uint32Array(2 * this.#size)
    ranges.set(this.#ranges)
    this.#ranges = ranges
  }

  #findRoot(): number {
    let node = 0
    if (this.#tree.ipVersion === 4) return node
    for (let i = 0; i < 96 && this.#isNode(node); i++) node = this.#child(node, 0)
    return node
  }

  /** Whether a record leads to a node; else it leads to data, or says that there is none. */
  #isNode(record: number): boolean {
    return record < this.#tree.nodeCount
  }

  /** A node's record for a bit. What lies beyond the file reads as 0, and every walk ends at 32 bits. */
  #child(node: number, bit: number): number {
    const { bytes, recordBits } = this.#tree
    if (recordBits === 24) return bytes24(bytes, node * 6 + 3 * bit)
    if (recordBits === 32)
      return bytes24(bytes, node * 8 + 4 * bit) * 0x100 + ((bytes[node * 8 + 4 * bit + 3] ?? 0) & 255)
    const shared = bytes[node * 7 + 3] ?? 0
    if (bit === 0) return (shared >>> 4) * 0x100_0000 + bytes24(bytes, node * 7)
    return (shared & 0x0f) * 0x100_0000 + bytes24(bytes, node * 7 + 4)
  }
}

function bytes24(bytes: Uint8Array, at: number): number {
  // What is undefined counts as 0 here.
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
}

/** Of a network of so many addresses, a power of two. */
function leadingBitsOf(size: number): number {
  return Math.clz32(size) + 1
}
