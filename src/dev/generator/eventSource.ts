import { checkEventOptions, DEFAULT_EVENT_OPTIONS, type EventOptions, type Shares } from './eventOptions.ts'
import { javaPartition } from './murmur2.ts'
import { Random } from './random.ts'
import { type Device, type User, Users } from './users.ts'

export type EventKind = 'plain' | keyof Shares

export type GeneratedEvent = {
  readonly partition: number
  /** The user's id in UTF-8. */
  readonly key: Buffer
  /** About 175 bytes of JSON, when nothing is wrong with it. */
  readonly value: Buffer
  readonly kind: EventKind
}

/** A stream of events without end. Pure: the n-th event follows from the options, n, and the times given up to it. */
export type EventSource = {
  /** @param now epoch milliseconds, the time that the event is made at */
  next(now: number): GeneratedEvent
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** How many of the last events may come again as duplicates. */
const REMEMBERED_EVENTS = 512
const KINDS: readonly (keyof Shares)[] = [
  'missingOptional',
  'missingRequired',
  'brokenJson',
  'notUtf8',
  'duplicates',
  'late',
  'future',
]

/** @throws TidemarkError 'usage' for options that contradict each other */
export function createEventSource(given: Partial<EventOptions> = {}): EventSource {
  const options: EventOptions = { ...DEFAULT_EVENT_OPTIONS, ...given }
  checkEventOptions(options)
  const random = new Random(options.seed)
  const users = new Users(options.seed, options.users)
  const drawKind = kindDrawer(options.shares)
  const choosePartition = partitionChooser(options)
  const remembered: GeneratedEvent[] = []
  let made = 0

  const next = (now: number): GeneratedEvent => {
    const kind = drawKind(random)
    if (kind === 'duplicates' && remembered.length > 0) {
      return { ...remembered[random.below(remembered.length)]!, kind }
    }
    const { user, device } = users.draw(random)
    const timestamp = timestampText(random, eventTime(random, now, kind, options.jitterMs))
    const value = eventValue(random, kind, user, device, timestamp)
    const event = { partition: choosePartition(random, user.key), key: user.key, value, kind }
    remembered[made++ % REMEMBERED_EVENTS] = event
    return event
  }
  return { next }
}

function kindDrawer(shares: Shares): (random: Random) => EventKind {
  let sum = 0
  const limits = KINDS.map(kind => {
    sum += shares[kind]
    return sum
  })
  return random => {
    const draw = random.unit()
    if (draw >= sum) return 'plain'
    return KINDS[limits.findIndex(limit => draw < limit)]!
  }
}

/** Java's partition of the key, unless the skewed or the silent partition wants it otherwise. */
function partitionChooser({ partitions, skewed, silentPartition }: EventOptions) {
  const others = Array.from({ length: partitions }, (_, partition) => partition).filter(
    partition => partition !== skewed?.partition && partition !== silentPartition,
  )
  return (random: Random, key: Buffer): number => {
    if (skewed !== null && random.unit() < skewed.share) return skewed.partition
    const partition = javaPartition(key, partitions)
    if (others.length === partitions || others.includes(partition)) return partition
    return others[javaPartition(key, others.length)]!
  }
}

function eventTime(random: Random, now: number, kind: EventKind, jitterMs: number): number {
  if (kind === 'late') return now - MINUTE_MS - random.below(9 * MINUTE_MS)
  if (kind === 'future') return now + DAY_MS + random.below(364 * DAY_MS)
  return now - random.below(jitterMs + 1)
}

/** The JSON text of a timestamp: mostly seconds in digits as real clients send them, and each other form now and then. */
function timestampText(random: Random, time: number): string {
  const draw = random.below(10)
  if (draw < 7) return `"${Math.floor(time / 1000)}"`
  if (draw === 7) return String(Math.floor(time / 1000))
  if (draw === 8) return String(time)
  return `"${new Date(time).toISOString()}"`
}

function eventValue(random: Random, kind: EventKind, user: User, device: number, timestamp: string): Buffer {
  if (kind === 'missingOptional') return withoutOptional(random, user.devices[device]!, timestamp)
  if (kind === 'missingRequired') return withoutRequired(random, user.devices[device]!, timestamp)
  const text = `${user.prefixes[device]!}${timestamp}}`
  if (kind === 'brokenJson') return broken(random, text)
  // Everything that is written here is ASCII, and this is the fastest way to bytes.
  const value = Buffer.from(text, 'latin1')
  // A byte that UTF-8 never has, inside the user id.
  if (kind === 'notUtf8') value[15] = 0xff
  return value
}

const NOTHING: readonly unknown[] = [undefined, null, '']

function withoutOptional(random: Random, device: Device, timestamp: string): Buffer {
  const names = ['device_type', 'device_id', 'locale', 'app_version', 'ip']
  const name = names[random.below(names.length)]!
  const values = [...NOTHING, 42]
  return withField({ ...device, timestamp: JSON.parse(timestamp) }, name, values[random.below(values.length)])
}

function withoutRequired(random: Random, device: Device, timestamp: string): Buffer {
  const name = random.below(2) === 0 ? 'user_id' : 'timestamp'
  return withField({ ...device, timestamp: JSON.parse(timestamp) }, name, NOTHING[random.below(NOTHING.length)])
}

function withField(event: object, name: string, value: unknown): Buffer {
  return Buffer.from(JSON.stringify({ ...event, [name]: value }))
}

function broken(random: Random, text: string): Buffer {
  const ways = [text.slice(0, 1 + random.below(text.length - 1)), `[${text}]`, 'login', 'null', `${text}}`]
  return Buffer.from(ways[random.below(ways.length)]!)
}
