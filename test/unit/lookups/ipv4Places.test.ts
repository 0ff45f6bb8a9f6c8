import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { Reader } from 'maxmind'
import { describe, expect, test } from 'vitest'
import { Counter } from '../../../src/aggregate/counter.ts'
import { PlaceCounts } from '../../../src/aggregate/placeCounts.ts'
import { Ipv4Places, type MmdbTree } from '../../../src/lookups/ipv4Places.ts'
import { isReserved, reservedShare } from '../../../src/lookups/reserved.ts'
import { SEED } from '../support.ts'
import { type MmdbOptions, type MmdbValue, mmdb } from './mmdb.ts'

const BUNDLED = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'
const UNKNOWN = 'unknown'
const textOf = (address: number) => [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')

/** The places, the naive way to the same through the reader of the database, and how often that was asked. */
function opened(bytes: Buffer) {
  const reader = new Reader<never>(bytes)
  const { nodeCount, recordSize, ipVersion } = reader.metadata
  const tree: MmdbTree = { bytes, nodeCount, recordBits: recordSize, ipVersion }
  let searches = 0
  const countryOf = (ip: string): string => {
    const entry = isReserved(ip) ? null : (reader.get(ip) as Record<string, string> | null)
    return entry?.country_code ?? UNKNOWN
  }
  const places = new Ipv4Places(tree, ip => {
    searches++
    return { country: countryOf(ip), region: UNKNOWN }
  })
  return { places, countryOf, searches: () => searches }
}

const country = (code: string): MmdbValue => ({ country_code: code })
const written = (networks: Readonly<Record<string, MmdbValue>>, options: MmdbOptions = {}) =>
  opened(mmdb(networks, options))

describe('the database that comes along', () => {
  const { places, countryOf, searches } = opened(readFileSync(fileURLToPath(import.meta.resolve(BUNDLED))))
  const agrees = (address: number) => {
    const term = places.termOf(address)
    expect([textOf(address), term.text, term.derived]).toEqual([textOf(address), countryOf(textOf(address)), UNKNOWN])
  }

  test('has the place that its reader finds for any address, and for its neighbours', () => {
    const edge = fc
      .tuple(fc.nat(0xffff), fc.nat(16), fc.integer({ min: -1, max: 0 }))
      .map(([block, bits, step]) => Math.max(0, block * 0x1_0000 + 2 ** bits + step))
    fc.assert(fc.property(fc.oneof(fc.nat(0xffff_ffff), edge), agrees), { seed: SEED, numRuns: 20_000 })
  })

  test('of all blocks, and of those that nothing is said of', () => {
    for (let block = 0; block < 0x1_0000; block += 7) agrees(block * 0x1_0000 + ((block * 31) & 0xffff))
    for (const address of [0, 0x0a00_0001, 0x7f00_0001, 0xc000_0200, 0xc000_02ff, 0xc000_0300, 0xffff_ffff])
      agrees(address)
    // One for each record that leads to a country, not one for each network.
    expect(searches()).toBeLessThan(3_000)
  })

  test('of many addresses at once are counted as each of them is', () => {
    const anew = opened(readFileSync(fileURLToPath(import.meta.resolve(BUNDLED)))).places
    const address = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 0x0808_0808))
    fc.assert(
      fc.property(fc.array(address, { maxLength: 40 }), fc.nat(3), (addresses, more) => {
        const count = Math.max(0, addresses.length - more)
        const [countries, alone] = [new Counter(1_000), new Counter(1_000)]
        const counts = new PlaceCounts(countries, new Counter(1_000))
        anew.tally(Int32Array.from(addresses), count, counts)
        counts.fold()
        for (const each of addresses.slice(0, count)) alone.add(places.termOf(each).text, 1)
        expect(countries.counts).toEqual(alone.counts)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })
})

describe('networks smaller than a block, side by side and far between', () => {
  test.each<MmdbOptions>([{ ipVersion: 4 }, { ipVersion: 6 }])('%o', options => {
    const { places, countryOf } = written(
      {
        '1.2.3.0/24': country('AA'),
        '1.2.4.0/24': country('AA'),
        '1.2.5.7/32': country('BB'),
        '1.2.255.0/24': country('CC'),
        '9.0.0.0/8': country('DD'),
        '192.0.0.0/16': country('EE'),
        '200.0.0.0/7': country('FF'),
      },
      options,
    )
    for (const block of [0x0102, 0x0901, 0xc000, 0xc901, 0x0103]) {
      for (let rest = 0; rest < 0x1_0000; rest++) {
        const address = block * 0x1_0000 + rest
        if (places.termOf(address).text !== countryOf(textOf(address))) expect.fail(textOf(address))
      }
    }
    expect(places.termOf(0xc000_0200).text).toBe(UNKNOWN)
    expect(places.termOf(0xc000_0100).text).toBe('EE')
  })
})

test('a tree whose nodes lead in circles or out of the file ends in unknown places', () => {
  const bytes = mmdb({ '1.2.3.0/24': country('AA'), '2001:db8::/32': country('BB') })
  const { nodeCount } = new Reader<never>(bytes).metadata
  const broken = (fill: number) => {
    const scrambled = Buffer.from(bytes)
    scrambled.fill(fill, 0, nodeCount * 6)
    return new Ipv4Places({ bytes: scrambled, nodeCount, recordBits: 24, ipVersion: 6 }, () => {
      return { country: UNKNOWN, region: UNKNOWN }
    })
  }
  expect(broken(0).termOf(0x0102_0304).text).toBe(UNKNOWN)
  expect(broken(0xff).termOf(0x0102_0304).text).toBe(UNKNOWN)
})

test('the share of a network that is reserved is that of its addresses', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.integer({ min: 4, max: 32 }), (address, bits) => {
      const size = 2 ** (32 - bits)
      const network = Math.floor(address / size) * size
      const share = reservedShare(network, bits)
      const reserved = isReserved(textOf(address))
      if (share !== 'some') expect(reserved).toBe(share === 'all')
      if (bits === 32) expect(share).not.toBe('some')
    }),
    { seed: SEED, numRuns: 5_000 },
  )
  expect([reservedShare(0xc000_0000, 16), reservedShare(0x0a00_0000, 16), reservedShare(0xc000_0200, 24)]).toEqual([
    'some',
    'all',
    'all',
  ])
})

/** A tree written with records of 24 bits, again with longer ones; records lead to the same data. */
function widened(bytes: Buffer, nodeCount: number, recordBits: 28 | 32): Buffer {
  const tree = Buffer.alloc((nodeCount * recordBits) / 4)
  for (let node = 0; node < nodeCount; node++) {
    const [left, right] = [bytes.readUIntBE(node * 6, 3), bytes.readUIntBE(node * 6 + 3, 3)]
    if (recordBits === 32) {
      tree.writeUInt32BE(left, node * 8)
      tree.writeUInt32BE(right, node * 8 + 4)
    } else {
      tree.writeUIntBE(left, node * 7, 3)
      tree.writeUIntBE(right, node * 7 + 4, 3)
    }
  }
  return tree
}

test.each([28, 32] as const)('records of %d bits are read as those of 24', recordBits => {
  const bytes = mmdb({ '1.2.3.0/24': country('AA'), '1.2.4.9/32': country('BB'), '91.0.0.0/8': country('CC') })
  const reader = new Reader<never>(bytes)
  const { nodeCount } = reader.metadata
  const countryOf = (ip: string) => (reader.get(ip) as Record<string, string> | null)?.country_code ?? UNKNOWN
  const tree = { bytes: widened(bytes, nodeCount, recordBits), nodeCount, recordBits, ipVersion: 6 }
  const places = new Ipv4Places(tree, ip => ({ country: countryOf(ip), region: UNKNOWN }))
  for (const ip of [
    '1.2.2.255',
    '1.2.3.0',
    '1.2.3.255',
    '1.2.4.8',
    '1.2.4.9',
    '1.2.4.10',
    '90.255.255.255',
    '91.7.7.7',
  ]) {
    const [a, b, c, d] = ip.split('.').map(Number) as [number, number, number, number]
    expect([ip, places.termOf((a << 24) | (b << 16) | (c << 8) | d).text]).toEqual([ip, countryOf(ip)])
  }
})

test('records of 28 and 32 bits are read to their highest bit', () => {
  const tree28 = Buffer.from([0x11, 0x22, 0x33, 0xab, 0x44, 0x55, 0x66])
  const tree32 = Buffer.from([0xa1, 0x22, 0x33, 0x44, 0xb1, 0x55, 0x66, 0x77])
  const searched: string[] = []
  const search = (ip: string) => {
    searched.push(ip)
    return { country: ip, region: UNKNOWN }
  }
  for (const [bytes, recordBits] of [
    [tree28, 28],
    [tree32, 32],
  ] as const) {
    const places = new Ipv4Places({ bytes, nodeCount: 1, recordBits, ipVersion: 4 }, search)
    expect([places.termOf(0x0909_0909).text, places.termOf(0x0b09_0909).text]).toEqual(['9.9.0.0', '9.9.0.0'])
    expect(places.termOf(0x8209_0909).text).toBe('130.9.0.0')
  }
  // One search for each of the two records, and of the second file again.
  expect(searched).toEqual(['9.9.0.0', '130.9.0.0', '9.9.0.0', '130.9.0.0'])
})

test('a file with more places than have numbers is asked for those beyond', () => {
  // A tree that is whole down to 24 bits, each with a record of its own.
  const nodeCount = 2 ** 24 - 1
  const search = (ip: string) => ({ country: ip.split('.').slice(0, 3).join('.'), region: UNKNOWN })
  const bytes = new Proxy(new Uint8Array(0), {
    get(_, at) {
      const index = Number(at)
      const record = 2 * Math.floor(index / 8) + 1 + (Math.floor(index / 4) & 1)
      return (record >>> (24 - 8 * (index & 3))) & 255
    },
  })
  const places = new Ipv4Places({ bytes, nodeCount, recordBits: 32, ipVersion: 4 }, search)
  for (let third = 0; third < 300 * 256; third++) {
    const address = 0x0100_0000 + third * 256 + 7
    if (places.termOf(address).text !== textOf(address).replace(/\.\d+$/, '')) expect.fail(textOf(address))
  }
})
