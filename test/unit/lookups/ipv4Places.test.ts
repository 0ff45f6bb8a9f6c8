import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { Reader } from 'maxmind'
import { describe, expect, test } from 'vitest'
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
