import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Reader } from 'maxmind'
import { TidemarkError } from '../errors.ts'
import type { GeoLookup, GeoPlace } from '../events/enrich.ts'
import { UNKNOWN } from '../events/fields.ts'
import type { Ipv4Lookup } from '../events/place.ts'
import { Ipv4Places } from './ipv4Places.ts'
import { Recent } from './recent.ts'
import { isReserved } from './reserved.ts'

/**
 * Countries of IPv4 and IPv6 addresses in one file of 7.8 MB; it knows no regions. The package declares CC0-1.0; what it
 * was made from holds the registries' delegation statistics, which are CC BY 4.0 by the Number Resource Organization
 * (nro.net), so that whoever passes the data on names them.
 */
const DEFAULT_DATABASE = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'
const DEFAULT_POLL_MS = 10_000
/** At most twice as many addresses come to about 5 MB; finding one again takes a twentieth of a search of the tree. */
const DEFAULT_CACHE_SIZE = 32_768
const ALLOWED = 'a MaxMind database (mmdb) of countries or cities'

export type GeoOptions = {
  /** Path of a MaxMind database of countries or cities; null for the country data that comes along. */
  readonly file: string | null
  /** How often the file is looked at for a change, in milliseconds. The data that comes along never changes. */
  readonly pollMs?: number
  /** Addresses of late whose place is kept: at least so many, at most twice as many. */
  readonly cacheSize?: number
  /** Told of a new database in use, and of one that cannot be used, with which the old one stays. Once for each change. */
  readonly onEvent?: (name: GeoEventName, details: GeoEventDetails) => void
}

export type GeoEventName = 'geo_loaded' | 'geo_refused'

export type GeoEventDetails = {
  readonly file: string
  /** The database's own type (as `GeoLite2-City`) and when it was built, ISO 8601; null of a refused one. */
  readonly type: string | null
  readonly built: string | null
  /** Why it was refused; null of a loaded one. */
  readonly reason: string | null
}

export type Geo = {
  /** ISO 3166 alpha-2 country and ISO 3166-2 region; `unknown` for what is reserved, unlisted or no address. Never throws. */
  readonly lookup: GeoLookup
  /** The same of IPv4 addresses as numbers, faster by far. */
  readonly lookupIpv4: Ipv4Lookup
  /** Stops looking for changes; the lookup goes on working. */
  readonly close: () => void
}

/**
 * Opens a database of places and keeps up with its file. Files are compared by inode, size and time, not by notices of the
 * file system: of volumes whose files are links that are swapped, as Kubernetes mounts them, those are unreliable.
 * @throws TidemarkError `bad_setting` naming GEO_DATABASE when it cannot be read or is no such database
 */
export async function openGeo(options: GeoOptions): Promise<Geo> {
  const file = options.file ?? fileURLToPath(import.meta.resolve(DEFAULT_DATABASE))
  let seen = await signatureOf(file)
  let database = await load(file).catch((error: unknown) => {
    const message = `GEO_DATABASE is ${JSON.stringify(file)}: ${reasonOf(error)}, allowed is ${ALLOWED}`
    throw new TidemarkError('bad_setting', message, { cause: error })
  })
  const recent = new Recent<GeoPlace>(options.cacheSize ?? DEFAULT_CACHE_SIZE)
  const search = (ip: string) => placeOf(database, ip)
  const lookup: GeoLookup = ip => recent.get(ip, search)
  let ipv4 = ipv4PlacesOf(database)
  const lookupIpv4: Ipv4Lookup = {
    termOf: address => ipv4.termOf(address),
    tally: (addresses, count, into) => ipv4.tally(addresses, count, into),
  }
  if (options.file === null) return { lookup, lookupIpv4, close: () => {} }

  let closed = false
  const tell = (name: GeoEventName, details: Omit<GeoEventDetails, 'file'>) => {
    if (!closed) options.onEvent?.(name, { file, ...details })
  }
  const reload = async (): Promise<void> => {
    const signature = await signatureOf(file)
    if (signature === seen) return
    seen = signature
    try {
      const loaded = await load(file)
      if (closed) return
      database = loaded
      recent.clear()
      ipv4 = ipv4PlacesOf(loaded)
      const { databaseType, buildEpoch } = loaded.reader.metadata
      tell('geo_loaded', { type: databaseType, built: buildEpoch.toISOString(), reason: null })
    } catch (error) {
      tell('geo_refused', { type: null, built: null, reason: reasonOf(error) })
    }
  }
  let underWay = false
  const timer = setInterval(() => {
    if (underWay) return
    underWay = true
    void reload().finally(() => {
      underWay = false
    })
  }, options.pollMs ?? DEFAULT_POLL_MS)
  timer.unref()
  const close = () => {
    closed = true
    clearInterval(timer)
  }
  return { lookup, lookupIpv4, close }
}

/** What changes whenever the file does; null when it cannot be looked at. */
async function signatureOf(file: string): Promise<string | null> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(file, { bigint: true })
    return `${dev}/${ino}/${size}/${mtimeNs}`
  } catch {
    return null
  }
}

/** A record of a MaxMind country or city file, or of the data that comes along; all of it may be missing. */
type Entry = {
  readonly country?: { readonly iso_code?: unknown }
  readonly subdivisions?: readonly { readonly iso_code?: unknown }[]
  readonly country_code?: unknown
}

type Database = { readonly reader: Reader<never>; readonly bytes: Buffer }

/** Addresses in far parts of the tree: a file that is cut or scrambled fails on one of them. */
const PROBES = ['1.1.1.1', '8.8.8.8', '91.198.174.192', '199.172.111.135', '223.5.5.5', '2001:4860:4860::8888']

async function load(file: string): Promise<Database> {
  const bytes = await readFile(file)
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw new Error('it is packed with gzip')
  let reader: Reader<never>
  try {
    reader = new Reader(bytes)
    for (const ip of PROBES) reader.get(ip)
  } catch (error) {
    throw new Error('it is no MaxMind database', { cause: error })
  }
  const { databaseType } = reader.metadata
  if (!/country|city|enterprise/i.test(databaseType)) {
    throw new Error(`it is a database of type ${JSON.stringify(databaseType)}`)
  }
  return { reader, bytes }
}

function ipv4PlacesOf(database: Database): Ipv4Places {
  const { nodeCount, recordSize, ipVersion } = database.reader.metadata
  const tree = { bytes: database.bytes, nodeCount, recordBits: recordSize, ipVersion }
  return new Ipv4Places(tree, ip => placeOf(database, ip))
}

const NOWHERE: GeoPlace = { country: UNKNOWN, region: UNKNOWN }

function placeOf({ reader }: Database, ip: string): GeoPlace {
  const family = isIP(ip)
  // A reader answers anything: for text that is no address, and from a file of IPv4 only by 32 bits of an IPv6 address.
  if (family === 0 || family > reader.metadata.ipVersion) return NOWHERE
  let entry: Entry | null
  try {
    entry = isReserved(ip) ? null : (reader.get(ip) as Entry | null)
  } catch {
    return NOWHERE
  }
  const country = codeOf(entry?.country?.iso_code ?? entry?.country_code, /^[A-Z]{2}$/)
  if (country === null) return NOWHERE
  // The first subdivision is the greatest. Its code alone would be Berlin and Bern: `BE`.
  const region = codeOf(entry?.subdivisions?.[0]?.iso_code, /^[A-Z0-9]{1,3}$/)
  return { country, region: region === null ? UNKNOWN : `${country}-${region}` }
}

function codeOf(value: unknown, form: RegExp): string | null {
  return typeof value === 'string' && form.test(value) ? value : null
}

/** The error's own words without the path, which messages name anyway. */
function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  return code === undefined ? (error as Error).message : `it cannot be read (${code})`
}
