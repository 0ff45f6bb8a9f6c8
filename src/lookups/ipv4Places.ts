import type { GeoPlace } from '../events/place.ts'
import { placeTermOf } from '../events/placeTerms.ts'
import type { Term } from '../events/term.ts'
import { reservedShare } from './reserved.ts'

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
const NOWHERE_FOUND = -1

/**
 * The places of IPv4 addresses, in a form of its own: of each /16 block either the one place of all its addresses, or its
 * ranges in ascending order. A block is worked out from the tree when it is asked for first, so that nothing is to be
 * waited for at the start; from then on a search costs no more for a million addresses than for one. The places of all
 * blocks come to at most a few MB.
 */
export class Ipv4Places {
  readonly #tree: MmdbTree
  readonly #search: (ip: string) => GeoPlace
  /** By block: 0 while it is not known, 1 + the number of its place, or -1 - the number of its list of ranges. */
  readonly #blocks = new Int32Array(BLOCKS)
  /** Where the list with that number begins; it ends where the next begins. */
  readonly #lists: number[] = [0]
  /** Of each range, the first address within its block, and the number of its place. */
  #firsts = new Uint16Array(1024)
  #places = new Int32Array(1024)
  #size = 0
  readonly #terms: Term[] = []
  readonly #numbers = new Map<Term, number>()
  /** The numbers of places by the tree's records that lead to them. */
  readonly #byRecord = new Map<number, number>()

  /** @param search the place of an address in dotted decimal, as the database itself tells it */
  constructor(tree: MmdbTree, search: (ip: string) => GeoPlace) {
    this.#tree = tree
    this.#search = search
  }

  /** @param address 32 bits, with a sign or without */
  termOf(address: number): Term {
    const block = address >>> BLOCK_BITS
    let found = this.#blocks[block] as number
    if (found === 0) found = this.#workOut(block)
    if (found > 0) return this.#terms[found - 1] as Term
    const firsts = this.#firsts
    const rest = address & (BLOCKS - 1)
    let low = this.#lists[-1 - found] as number
    let high = (this.#lists[-found] as number) - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((firsts[middle] as number) <= rest) low = middle
      else high = middle - 1
    }
    return this.#terms[this.#places[low] as number] as Term
  }

  #workOut(block: number): number {
    const network = block * BLOCKS
    const from = this.#size
    let node = this.#root()
    for (let bit = 31; bit >= BLOCK_BITS && this.#isNode(node); bit--) node = this.#child(node, (network >>> bit) & 1)
    this.#walk(node, network, BLOCK_BITS)
    if (this.#size === from + 1) {
      // The same place everywhere: no list is needed.
      this.#size = from
      this.#blocks[block] = 1 + (this.#places[from] as number)
    } else {
      this.#blocks[block] = -this.#lists.length
      this.#lists.push(this.#size)
    }
    return this.#blocks[block] as number
  }

  /** Notes the ranges of a network of that many leading bits, which the record `node` leads to. */
  #walk(node: number, network: number, bits: number): void {
    const reserved = reservedShare(network, bits)
    if (reserved === 'all' || (bits === 32 && this.#isNode(node))) this.#note(network, NOWHERE_FOUND)
    else if (!this.#isNode(node) && reserved === 'none') this.#note(network, node)
    else {
      const isLeaf = !this.#isNode(node)
      this.#walk(isLeaf ? node : this.#child(node, 0), network, bits + 1)
      this.#walk(isLeaf ? node : this.#child(node, 1), network + 2 ** (31 - bits), bits + 1)
    }
  }

  #note(network: number, record: number): void {
    const place = this.#placeOf(network, record)
    const first = network & (BLOCKS - 1)
    if (first !== 0 && this.#places[this.#size - 1] === place) return
    if (this.#size === this.#firsts.length) this.#grow()
    this.#firsts[this.#size] = first
    this.#places[this.#size++] = place
  }

  #placeOf(network: number, record: number): number {
    let number = this.#byRecord.get(record)
    if (number === undefined) {
      // Of reserved networks the search tells by itself that they are nowhere.
      const octets = [network >>> 24, (network >>> 16) & 255, (network >>> 8) & 255, network & 255]
      number = this.#numberOf(placeTermOf(this.#search(record === NOWHERE_FOUND ? '0.0.0.0' : octets.join('.'))))
      this.#byRecord.set(record, number)
    }
    return number
  }

  #numberOf(term: Term): number {
    let number = this.#numbers.get(term)
    if (number === undefined) {
      number = this.#terms.length
      this.#terms.push(term)
      this.#numbers.set(term, number)
    }
    return number
  }

  #grow(): void {
    const [firsts, places] = [new Uint16Array(2 * this.#size), new Int32Array(2 * this.#size)]
    firsts.set(this.#firsts)
    places.set(this.#places)
    this.#firsts = firsts
    this.#places = places
  }

  #root(): number {
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
    const at = (node * recordBits) / 4
    const byte = (i: number) => bytes[at + i] ?? 0
    const word = (i: number) => byte(i) * 0x1_0000 + byte(i + 1) * 0x100 + byte(i + 2)
    if (recordBits === 24) return word(bit === 0 ? 0 : 3)
    if (recordBits === 32) return bit === 0 ? word(0) * 0x100 + byte(3) : word(4) * 0x100 + byte(7)
    return bit === 0 ? (byte(3) >>> 4) * 0x100_0000 + word(0) : (byte(3) & 0x0f) * 0x100_0000 + word(4)
  }
}
