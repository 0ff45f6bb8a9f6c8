import type { RecordHeader } from '../../tasks/recordBatch.ts'
import { type Device, NO_HEADERS, timestampText, type WrittenEvent } from './clients.ts'
import { checkEventOptions, DEFAULT_EVENT_OPTIONS, type EventOptions, type Shares } from './eventOptions.ts'
import { javaPartition } from './murmur2.ts'
import { Random } from './random.ts'
import { Users } from './users.ts'

export type EventKind = 'plain' | keyof Shares

export type GeneratedEvent = {
  readonly partition: number
  /** The user's id in UTF-8. */
  readonly key: Buffer
  /** About 175 bytes of JSON in the plain form, when nothing is wrong with it. */
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
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
  'emptyValue',
  'invalidRequired',
  'tooDeep',
  'tooLarge',
  'duplicates',
  'late',
  'future',
]

/** @throws TidemarkError 'usage' for options that contradict each other */
export function createEventSource(given: Partial<EventOptions> = {}): EventSource {
  const options: EventOptions = { ...DEFAULT_EVENT_OPTIONS, ...given }
  checkEventOptions(options)
  const random = new Random(options.seed)
  const users = new Users(options.seed, options.users, options.variedClients)
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
    const time = eventTime(random, now, kind, options.jitterMs)
    const spoil = SPOILERS[kind]
    const { value, headers } =
      spoil === undefined
        ? user.clients[device]!.write(random, time)
        : spoil(random, {
            device: user.devices[device]!,
            write: () => user.clients[device]!.write(random, time),
            time,
            options,
          })
    const event = { partition: choosePartition(random, user.key), key: user.key, value, headers, kind }
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

type Spoiled = { readonly value: Buffer | null; readonly headers: readonly RecordHeader[] }

/** What an event is made of that has something wrong with it. */
type Material = {
  readonly device: Device
  readonly time: number
  readonly options: EventOptions
  /** The event as its app would have sent it. */
  write(): WrittenEvent
}

const NOTHING: readonly unknown[] = [undefined, null, '']
const OPTIONAL_NAMES = ['device_type', 'device_id', 'locale', 'app_version', 'ip'] as const
const NO_USER_IDS: readonly unknown[] = [1.5, true, ['u'], { id: 'u' }, 'x'.repeat(257), 'half a pair: \ud83d']
const NO_TIMESTAMPS: readonly unknown[] = ['yesterday', -1, true, '2023-02-30', '12:30:00', 1e300, [1694477555]]

/** The kinds that are wrong in more than their time. */
const SPOILERS: Readonly<Partial<Record<EventKind, (random: Random, material: Material) => Spoiled>>> = {
  missingOptional: (random, material) => withField(random, material, pick(random, OPTIONAL_NAMES), [...NOTHING, 42]),
  missingRequired: (random, material) => withField(random, material, pick(random, ['user_id', 'timestamp']), NOTHING),
  invalidRequired: (random, material) =>
    random.below(2) === 0
      ? withField(random, material, 'user_id', NO_USER_IDS)
      : withField(random, material, 'timestamp', NO_TIMESTAMPS),
  brokenJson: (random, { write }) => broken(random, write()),
  notUtf8: (_, { write }) => {
    const event = write()
    // A byte that UTF-8 never has, in the plain form inside the user id.
    event.value[15] = 0xff
    return event
  },
  emptyValue: random => ({ value: random.below(2) === 0 ? null : Buffer.alloc(0), headers: NO_HEADERS }),
  tooDeep: (_, { write, options: { maxEventDepth } }) => {
    const deep = `${'['.repeat(maxEventDepth)}${']'.repeat(maxEventDepth)}`
    return withTail(write(), `,"deep":${deep}}`)
  },
  tooLarge: (_, { write, options: { maxEventBytes } }) => {
    const event = write()
    const missing = maxEventBytes + 1 - event.value.length
    return withTail(event, `,"filler":"${'x'.repeat(Math.max(0, missing - ',"filler":""'.length))}"}`)
  },
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!
}

/** The plain form with one of the values in a field. */
function withField(random: Random, { device, time }: Material, name: string, values: readonly unknown[]): Spoiled {
  const event = { ...device, timestamp: JSON.parse(timestampText(random, time)), [name]: pick(random, values) }
  return { value: Buffer.from(JSON.stringify(event)), headers: NO_HEADERS }
}

/** The same object with a tail in place of its last bracket. */
function withTail({ value, headers }: WrittenEvent, tail: string): Spoiled {
  return { value: Buffer.concat([value.subarray(0, -1), Buffer.from(tail)]), headers }
}

function broken(random: Random, { value, headers }: WrittenEvent): Spoiled {
  const text = value.toString()
  const ways = [text.slice(0, 1 + random.below(text.length - 1)), `[${text}]`, 'login', 'null', `${text}}`]
  return { value: Buffer.from(pick(random, ways)), headers }
}
