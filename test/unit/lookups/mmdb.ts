import { readIp } from '../../../src/events/ip.ts'

/** What a record of a MaxMind database may hold here; numbers are unsigned, of at most 32 bits. */
export type MmdbValue = string | number | readonly MmdbValue[] | { readonly [name: string]: MmdbValue }

export type MmdbOptions = {
  /** `GeoLite2-City` and the like. */
  readonly type?: string
  readonly ipVersion?: 4 | 6
  /** Epoch seconds. */
  readonly built?: number
}

const MARKER = Buffer.from('ABCDEF4D61784D696E642E636F6D', 'hex')
const SEPARATOR = Buffer.alloc(16)
const IPV4_BITS = 32

type Node = [Node | number | null, Node | number | null]

/** Writes a MaxMind database (format 2.0, records of 24 bits) of networks in CIDR notation, none inside another. */
export function mmdb(networks: Readonly<Record<string, MmdbValue>>, options: MmdbOptions = {}): Buffer {
  const { type = 'GeoLite2-City', ipVersion = 6, built = 1_700_000_000 } = options
  const root: Node = [null, null]
  const values: Buffer[] = []
  let dataLength = 0
  for (const [network, value] of Object.entries(networks)) {
    insert(root, bitsOf(network, ipVersion), dataLength)
    const encoded = encode(value)
    values.push(encoded)
    dataLength += encoded.length
  }
  const metadata = {
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: built,
    database_type: type,
    description: {},
    ip_version: ipVersion,
    languages: ['en'],
    node_count: 0,
    record_size: 24,
  }
  const nodes = numbered(root)
  const tree = Buffer.alloc(nodes.size * 6)
  for (const [[left, right], number] of nodes) {
    tree.writeUIntBE(pointer(left, nodes), number * 6, 3)
    tree.writeUIntBE(pointer(right, nodes), number * 6 + 3, 3)
  }
  return Buffer.concat([tree, SEPARATOR, ...values, MARKER, encode({ ...metadata, node_count: nodes.size })])
}

function pointer(child: Node | number | null, nodes: ReadonlyMap<Node, number>): number {
  if (child === null) return nodes.size
  return typeof child === 'number' ? nodes.size + SEPARATOR.length + child : (nodes.get(child) as number)
}

function insert(root: Node, bits: readonly number[], data: number): void {
  let node = root
  for (const bit of bits.slice(0, -1)) {
    const child: Node | number = node[bit] ?? [null, null]
    if (typeof child === 'number') throw new RangeError('a network inside another')
    node[bit] = child
    node = child
  }
  node[bits.at(-1) as number] = data
}

function numbered(root: Node): Map<Node, number> {
  const nodes = new Map<Node, number>([[root, 0]])
  for (const [node] of nodes) {
    for (const child of node) if (Array.isArray(child)) nodes.set(child, nodes.size)
  }
  return nodes
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address, length] = network.split('/') as [string, string]
  if (readIp(address) === null) throw new RangeError(`no address: ${address}`)
  const v4 = !address.includes(':')
  const bytes = v4 ? address.split('.').map(Number) : bytesOfIpv6(address)
  const bits = bytes.flatMap(byte => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1))
  const prefix = v4 && ipVersion === 6 ? new Array<number>(128 - IPV4_BITS).fill(0) : []
  return [...prefix, ...bits.slice(0, Number(length))]
}

function bytesOfIpv6(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16)))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
  return all.flatMap(group => [group >> 8, group & 0xff])
}

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])])
}

/** Type and size; types above 7 take a byte of their own, sizes from 29 on as well. */
function control(type: number, size: number): Buffer {
  if (size >= 29 + 256) throw new RangeError(`too long: ${size}`)
  const first = ((type <= 7 ? type : 0) << 5) | Math.min(size, 29)
  return Buffer.from([first, ...(type > 7 ? [type - 7] : []), ...(size >= 29 ? [size - 29] : [])])
}
