import { BlockList } from 'node:net'

/**
 * Networks that lie in no country: private, shared, link-local, loopback, documentation, benchmarking, multicast and
 * reserved ones of IANA's special-purpose registries. Country data names a registry's country for some of them.
 */
const NETWORKS_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
const NETWORKS_V6 = [
  '::/127',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:2::/48',
  '2001:10::/28',
  '2001:20::/28',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

const RESERVED = new BlockList()
for (const [family, networks] of [
  ['ipv4', NETWORKS_V4],
  ['ipv6', NETWORKS_V6],
] as const) {
  for (const network of networks) {
    const [address, prefix] = network.split('/') as [string, string]
    RESERVED.addSubnet(address, Number(prefix), family)
  }
}

/** Whether an IPv4 or IPv6 address as text lies in no country whatever a database says. */
export function isReserved(ip: string): boolean {
  return RESERVED.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4')
}

const RANGES_V4 = NETWORKS_V4.map(network => {
  const [address, prefix] = network.split('/') as [string, string]
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]
  return { first: ((a * 256 + b) * 256 + c) * 256 + d, size: 2 ** (32 - Number(prefix)) }
})

/** How much of a network lies in no country. */
export type ReservedShare = 'all' | 'some' | 'none'

/** How much of an IPv4 network lies in no country: its first address as an unsigned 32-bit number, its leading bits. */
export function reservedShare(network: number, bits: number): ReservedShare {
  const end = network + 2 ** (32 - bits)
  for (const { first, size } of RANGES_V4) {
    // Networks lie side by side or one inside the other.
    if (network >= first && end <= first + size) return 'all'
    if (first >= network && first < end) return 'some'
  }
  return 'none'
}
