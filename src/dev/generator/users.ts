import { type Client, type Device, plainClient, variedClient } from './clients.ts'
import { Random, WeightedChoice } from './random.ts'

export type User = {
  readonly key: Buffer
  /** One or two; the first is used more. */
  readonly devices: readonly Device[]
  /** The app on each device. */
  readonly clients: readonly Client[]
}

type Weighted = Readonly<Record<string, number>>

const DEVICE_TYPES: Weighted = { android: 450, ios: 350, web: 140, tv: 40, watch: 10, console: 7, fridge: 3 }

/** By population, the greatest first. */
const STATES =
  'CA TX FL NY PA IL OH GA NC MI NJ VA WA AZ TN MA IN MO MD WI CO MN SC AL LA KY OR OK CT UT IA NV AR KS MS NM NE ID WV HI NH ME MT RI DE SD ND AK VT WY'
/** Only codes that no state has. */
const COUNTRIES = 'GB FR BR JP RU AU MX ES KR NG'
/** The newest last: most people are on a recent one. */
const VERSIONS =
  '1.0.0 1.0.1 1.1.0 1.2.0 1.2.1 1.3.0 1.4.0 1.4.1 1.5.0 2.0.0 2.0.1 2.0.2 2.1.0 2.1.1 2.2.0 2.2.1 2.2.2 2.3.0 2.3.1 2.4.0-beta'

const words = (text: string) => text.split(' ')

const LOCALES: Weighted = {
  ...Object.fromEntries(words(STATES).map((state, rank) => [state, 100 / (rank + 4)])),
  ...Object.fromEntries(words(COUNTRIES).map((country, rank) => [country, 10 / (rank + 4)])),
}
const APP_VERSIONS: Weighted = Object.fromEntries(words(VERSIONS).map((version, age) => [version, (age + 1) ** 2]))

const drawDeviceType = drawer(DEVICE_TYPES)
const drawLocale = drawer(LOCALES)
const drawVersion = drawer(APP_VERSIONS)

const SECOND_DEVICE_SHARE = 0.3
const FIRST_DEVICE_USE = 0.8
/** Bends the curve of the users' activity: the most active ones do not stand out as far as in a pure Zipf law. */
const RANK_SHIFT = 20
const RANK_EXPONENT = 0.8

/** A crowd of users of unequal activity. Each is made when first met, always the same for a seed. */
export class Users {
  readonly #seed: number
  readonly #variedShare: number
  readonly #known: (User | undefined)[]
  readonly #choice: WeightedChoice

  /** @param variedShare how many of the apps write otherwise than in the plain form */
  constructor(seed: number, count: number, variedShare: number) {
    this.#seed = seed
    this.#variedShare = variedShare
    this.#known = new Array<User | undefined>(count).fill(undefined)
    this.#choice = new WeightedChoice(this.#known.map((_, rank) => (rank + RANK_SHIFT) ** -RANK_EXPONENT))
  }

  draw(random: Random): { user: User; device: number } {
    const index = this.#choice.draw(random)
    const user = this.#known[index] ?? makeUser(new Random(this.#seed, index + 1), this.#variedShare)
    this.#known[index] = user
    const device = user.devices.length === 1 || random.unit() < FIRST_DEVICE_USE ? 0 : 1
    return { user, device }
  }
}

function makeUser(random: Random, variedShare: number): User {
  const userId = `${random.hex(8)}-${random.hex(4)}-4${random.hex(3)}-a${random.hex(3)}-${random.hex(12)}`
  const locale = drawLocale(random)
  const count = random.unit() < SECOND_DEVICE_SHARE ? 2 : 1
  const devices = Array.from({ length: count }, () => makeDevice(random, userId, locale))
  const clients = devices.map(device =>
    random.unit() < variedShare ? variedClient(random, device) : plainClient(device),
  )
  return { key: Buffer.from(userId), devices, clients }
}

function makeDevice(random: Random, userId: string, locale: string): Device {
  const digits = String(random.below(1e9)).padStart(9, '0')
  return {
    user_id: userId,
    app_version: drawVersion(random),
    device_type: drawDeviceType(random),
    ip: `${1 + random.below(223)}.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`,
    locale,
    device_id: `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`,
  }
}

function drawer(weighted: Weighted): (random: Random) => string {
  const names = Object.keys(weighted)
  const choice = new WeightedChoice(Object.values(weighted))
  return random => names[choice.draw(random)]!
}
