import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Geo,
  type GeoEventDetails,
  type GeoEventName,
  type GeoOptions,
  openGeo,
} from '../../../src/lookups/geo.ts'
import { SEED } from '../support.ts'
import { type MmdbOptions, type MmdbValue, mmdb } from './mmdb.ts'

const NOWHERE = { country: 'unknown', region: 'unknown' }
const POLL_MS = 5

const folder = mkdtempSync(join(tmpdir(), 'tidemark-geo-'))
afterAll(() => rmSync(folder, { recursive: true }))

const opened: Geo[] = []
afterEach(() => {
  for (const geo of opened.splice(0)) geo.close()
})

async function open(options: GeoOptions): Promise<Geo> {
  const geo = await openGeo(options)
  opened.push(geo)
  return geo
}

let files = 0
function written(content: Uint8Array): string {
  const file = join(folder, `${files++}.mmdb`)
  writeFileSync(file, content)
  return file
}

const place = (country: string, ...subdivisions: MmdbValue[]): MmdbValue => ({
  continent: { code: 'XX', names: { en: 'Somewhere' } },
  country: { iso_code: country, geoname_id: 1, names: { en: 'A country', de: 'Ein Land' } },
  ...(subdivisions.length > 0 ? { subdivisions } : {}),
})

const CITIES: Readonly<Record<string, MmdbValue>> = {
  '8.8.8.0/24': place('US', { iso_code: 'NY', names: { en: 'New York' } }, { iso_code: 'X' }),
  '9.0.0.0/8': place('DE', { iso_code: 'BE' }),
  '10.0.0.0/8': place('US', { iso_code: 'NY' }),
  '11.1.0.0/16': place('FR', { names: { en: 'No code' } }),
  '12.0.0.0/8': { continent: { code: 'EU' } },
  '13.0.0.0/8': { country: { iso_code: 'a country' }, subdivisions: 'none' },
  '14.0.0.0/8': 'text',
  '2001:4860::/32': place('US', { iso_code: 'CA' }),
  '2001:db8::/32': place('JP', { iso_code: '13' }),
}
const cities = (options?: MmdbOptions) => mmdb(CITIES, options)

describe('the data that comes along', async () => {
  const { lookup } = await open({ file: null })

  test.each([
    ['8.8.8.8', 'US'],
    ['199.172.111.135', 'US'],
    ['47.64.113.136', 'DE'],
    ['91.198.174.192', 'NL'],
    ['133.11.0.1', 'JP'],
    ['2001:4860:4860::8888', 'US'],
    ['2001:4860:4860:0::8888', 'US'],
    ['2a00:1450:4001::1', 'IE'],
    ['2A00:1450:4001:0:0:0:0:1', 'IE'],
  ])('%s is in %s, without a region', (ip, country) => {
    expect(lookup(ip)).toEqual({ country, region: 'unknown' })
    expect(lookup(ip)).toEqual({ country, region: 'unknown' })
  })

  // The data has a country for some of these.
  test.each([
    ['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '169.254.0.1', '172.16.3.4', '192.0.2.1', '192.168.1.1'],
    ['198.18.0.1', '198.51.100.1', '203.0.113.9', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255'],
    ['::', '::1', '64:ff9b:1::1', '100::1', '2001:db8:1::1', '3fff::1', 'fc00::1', 'fd12::1', 'fe80::1', 'ff02::1'],
  ])('what lies in no country is unknown: %s, …', (...ips) => {
    expect(ips.map(lookup)).toEqual(ips.map(() => NOWHERE))
  })

  test('no address has an answer', () => {
    expect(['', 'unknown', '1.2.3', '1.2.3.4.5', '::1::', '256.1.1.1', 'a:b', ':'.repeat(99)].map(lookup)).toEqual(
      Array.from({ length: 8 }, () => NOWHERE),
    )
  })

  test('every address has an answer of two capital letters or unknown, and the same again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), ip => {
        const found = lookup(ip)
        expect(found.country).toMatch(/^(?:[A-Z]{2}|unknown)$/)
        expect(found.region).toBe('unknown')
        expect(lookup(ip)).toEqual(found)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })
})

describe('a city file', async () => {
  const { lookup } = await open({ file: written(cities()) })

  test.each([
    ['8.8.8.8', 'US', 'US-NY'],
    ['9.255.1.2', 'DE', 'DE-BE'],
    ['11.1.2.3', 'FR', 'unknown'],
    ['2001:4860:4860::8888', 'US', 'US-CA'],
  ])('%s is in %s, %s', (ip, country, region) => expect(lookup(ip)).toEqual({ country, region }))

  test.each(['8.8.9.8', '11.2.0.1', '12.1.1.1', '13.1.1.1', '14.1.1.1', '2002::1'])('%s is unknown', ip => {
    expect(lookup(ip)).toEqual(NOWHERE)
  })

  test('private and documentation addresses are unknown though it lists them', () => {
    expect(['10.1.1.1', '2001:db8::1'].map(lookup)).toEqual([NOWHERE, NOWHERE])
  })
})

test('a file of IPv4 only knows no IPv6 address', async () => {
  const file = written(mmdb({ '32.0.0.0/3': place('CN') }, { ipVersion: 4 }))
  const { lookup } = await open({ file })
  expect([lookup('33.1.1.1').country, lookup('2a00:1450:4001::1').country]).toEqual(['CN', 'unknown'])
})

test('an answer stays right when more addresses are asked for than are kept', async () => {
  const { lookup } = await open({ file: written(cities()), cacheSize: 2 })
  const ips = ['8.8.8.8', '9.1.1.1', '1.1.1.1', '2001:4860::1']
  for (let i = 0; i < 3; i++) expect(ips.map(ip => lookup(ip).country)).toEqual(['US', 'DE', 'unknown', 'US'])
})

describe('what is refused at the start, with the setting, the path and what is allowed', () => {
  const cut = cities().subarray(0, -40)
  const scrambled = cities()
  // The pointers of the tree's first nodes, which every IPv4 address passes, lead out of the file.
  scrambled.fill(0xff, 0, 60)
  test.each([
    ['a missing file', join(folder, 'none.mmdb'), 'it cannot be read (ENOENT)'],
    ['a folder', folder, 'it cannot be read (EISDIR)'],
    ['an empty file', written(Buffer.alloc(0)), 'it is no MaxMind database'],
    ['a text', written(Buffer.from('country,region\n'.repeat(1000))), 'it is no MaxMind database'],
    ['a file that is cut', written(cut), 'it is no MaxMind database'],
    ['a file that is scrambled', written(scrambled), 'it is no MaxMind database'],
    ['a packed file', written(Buffer.from([0x1f, 0x8b, 8, 0])), 'it is packed with gzip'],
    ['another database', written(cities({ type: 'GeoLite2-ASN' })), 'it is a database of type "GeoLite2-ASN"'],
  ])('%s', async (_, file, reason) => {
    await expect(open({ file })).rejects.toMatchObject({
      code: 'bad_setting',
      message: `GEO_DATABASE is ${JSON.stringify(file)}: ${reason}, allowed is a MaxMind database (mmdb) of countries or cities`,
    })
  })
})

describe('a changed file', () => {
  const other = mmdb({ '8.8.8.0/24': place('CA', { iso_code: 'ON' }) }, { built: 1_800_000_000 })

  async function watched(file: string) {
    const events: [GeoEventName, GeoEventDetails][] = []
    const geo = await open({ file, pollMs: POLL_MS, onEvent: (...event) => events.push(event) })
    const until = (count: number) =>
      vi.waitFor(() => expect(events).toHaveLength(count), { timeout: 5000, interval: 5 })
    return { events, until, lookup: geo.lookup, lookupIpv4: geo.lookupIpv4, close: geo.close }
  }

  const loaded = (file: string) => [
    'geo_loaded',
    { file, type: 'GeoLite2-City', built: '2027-01-15T08:00:00.000Z', reason: null },
  ]
  const refused = (file: string, reason: string) => ['geo_refused', { file, type: null, built: null, reason }]

  test('is read again, and answers kept of the old one are forgotten', async () => {
    const file = written(cities())
    const { events, until, lookup, lookupIpv4 } = await watched(file)
    expect(lookup('8.8.8.8').region).toBe('US-NY')
    expect(lookupIpv4.termOf(0x0808_0808)).toMatchObject({ text: 'US', derived: 'US-NY' })
    renameSync(written(other), file)
    await until(1)
    expect(events).toEqual([loaded(file)])
    expect([lookup('8.8.8.8').region, lookup('9.1.1.1').country]).toEqual(['CA-ON', 'unknown'])
    expect(lookupIpv4.termOf(0x0808_0808)).toMatchObject({ text: 'CA', derived: 'CA-ON' })
    expect(lookupIpv4.termOf(0x0901_0101)).toMatchObject({ text: 'unknown', derived: 'unknown' })
  })

  test('is seen behind a link that is swapped, as Kubernetes swaps them', async () => {
    const link = join(folder, 'link.mmdb')
    symlinkSync(written(cities()), link)
    const { events, until, lookup } = await watched(link)
    expect(lookup('8.8.8.8').region).toBe('US-NY')
    symlinkSync(written(other), `${link}.new`)
    renameSync(`${link}.new`, link)
    await until(1)
    expect(events).toEqual([loaded(link)])
    expect(lookup('8.8.8.8').region).toBe('CA-ON')
  })

  test('that is broken or gone is told once, and the old one stays until a good one comes', async () => {
    const file = written(cities())
    const { events, until, lookup } = await watched(file)
    renameSync(written(other.subarray(0, -40)), file)
    await until(1)
    // Several polls later nothing more was told.
    await new Promise(resolve => setTimeout(resolve, 20 * POLL_MS))
    expect(events).toEqual([refused(file, 'it is no MaxMind database')])
    unlinkSync(file)
    await until(2)
    expect(events[1]).toEqual(refused(file, 'it cannot be read (ENOENT)'))
    expect([lookup('8.8.8.8').region, lookup('9.1.1.1').region]).toEqual(['US-NY', 'DE-BE'])
    renameSync(written(other), file)
    await until(3)
    expect(events[2]).toEqual(loaded(file))
    expect(lookup('8.8.8.8').region).toBe('CA-ON')
  })

  test('is left alone once closed', async () => {
    const file = written(cities())
    const { events, lookup, close } = await watched(file)
    close()
    renameSync(written(other), file)
    await new Promise(resolve => setTimeout(resolve, 20 * POLL_MS))
    expect(events).toEqual([])
    expect(lookup('8.8.8.8').region).toBe('US-NY')
  })
})
