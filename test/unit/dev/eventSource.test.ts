import { isIPv6 } from 'node:net'
import { describe, expect, test } from 'vitest'
import { DEFAULT_EVENT_OPTIONS, NO_SHARES, type Shares } from '../../../src/dev/generator/eventOptions.ts'
import { createEventSource, type GeneratedEvent } from '../../../src/dev/generator/eventSource.ts'
import { javaPartition, murmur2 } from '../../../src/dev/generator/murmur2.ts'
import { Random, WeightedChoice } from '../../../src/dev/generator/random.ts'
import { createRecount } from '../../../src/dev/recount.ts'
import { javaPartitioner } from '../../../src/kafka/client.ts'

const NOW = Date.parse('2023-09-12T00:12:35.678Z')

function take(count: number, options: Parameters<typeof createEventSource>[0] = {}): GeneratedEvent[] {
  const source = createEventSource(options)
  return Array.from({ length: count }, () => source.next(NOW))
}

const only = (name: keyof Shares): Shares => ({ ...NO_SHARES, [name]: 1 })

const textOf = ({ value }: GeneratedEvent) => String(value)
const MAX_BYTES = 4096

/** The outcome of each event alone, as the naive recount has it. */
function outcomes(events: readonly GeneratedEvent[]): Set<string> {
  const rules = { windowSizeMs: 10_000, allowedLatenessMs: 30_000, maxFutureSkewMs: 300_000, maxEventBytes: MAX_BYTES }
  const recount = createRecount({ ...rules, validationRequired: [] })
  const add = (event: GeneratedEvent, offset: number) =>
    recount.add({ partition: 0, offset, timestamp: NOW, value: event.value, headers: event.headers })
  // The clock stands at now, so that events of the past are late.
  add({ ...events[0]!, value: Buffer.from(JSON.stringify({ user_id: 'u', timestamp: NOW })) }, 0)
  return new Set(events.map((event, index) => add(event, index + 1)))
}

test('the same seed gives the same events, another seed others', () => {
  expect(take(2_000, { seed: 7 })).toEqual(take(2_000, { seed: 7 }))
  expect(take(20, { seed: 7 })).not.toEqual(take(20, { seed: 8 }))
})

test('an event looks like a real login', () => {
  const events = take(2_000, { shares: NO_SHARES, variedClients: 0 })
  for (const generated of events) {
    const event = JSON.parse(textOf(generated)) as Record<string, unknown>
    expect(Object.keys(event).join()).toBe('user_id,app_version,device_type,ip,locale,device_id,timestamp')
    expect(event.user_id).toBe(generated.key.toString())
    expect(generated.headers).toEqual([])
  }
  const bytes = events.reduce((sum, event) => sum + textOf(event).length, 0) / events.length
  expect(bytes).toBeGreaterThan(165)
  expect(bytes).toBeLessThan(190)
})

test('some users are far more active than others, and all kinds of devices, places and versions appear', () => {
  const events = take(50_000, { shares: NO_SHARES, variedClients: 0, users: 1_000 })
  const values = (name: string) => {
    const counts = new Map<string, number>()
    for (const event of events) {
      const text = String((JSON.parse(textOf(event)) as Record<string, unknown>)[name])
      counts.set(text, (counts.get(text) ?? 0) + 1)
    }
    return [...counts.values()].sort((a, b) => b - a)
  }
  const users = values('user_id')
  expect(users.length).toBeGreaterThan(950)
  expect(users[0]!).toBeGreaterThan(10 * users.at(-1)!)
  expect(values('device_type').length).toBeGreaterThanOrEqual(5)
  expect(values('locale').length).toBeGreaterThan(40)
  expect(values('app_version').length).toBeGreaterThan(15)
})

describe('apps that write otherwise', () => {
  const events = take(20_000, { shares: NO_SHARES, variedClients: 1, users: 2_000 })
  const bodies = events.map(event => JSON.parse(textOf(event)) as Record<string, unknown>)
  const logins = bodies.map(body => (body.data ?? body) as Record<string, unknown>)

  test('are accepted like others, whatever way they tell the time', () => {
    expect([...outcomes(events)]).toEqual(['accepted'])
    const forms = logins.map(({ timestamp }) => `${typeof timestamp} ${String(timestamp).replaceAll(/\d+/g, '0')}`)
    expect(new Set(forms).size).toBeGreaterThanOrEqual(9)
  })

  test('send CloudEvents of both kinds, and headers', () => {
    const withHeader = (name: string) => events.filter(({ headers }) => headers.some(header => header[0] === name))
    for (const name of ['ce_specversion', 'traceparent', 'digest']) {
      expect(withHeader(name).length).toBeGreaterThan(1_000)
    }
    const envelopes = bodies.filter(({ specversion, data }) => specversion === '1.0' && data !== undefined)
    expect(envelopes.length).toBeGreaterThan(1_000)
    expect(new Set(envelopes.map(({ id }) => id)).size).toBe(envelopes.length)
  })

  test('spell devices in many ways, have addresses of all kinds, and more fields', () => {
    expect(new Set(logins.map(login => login.device_type)).size).toBeGreaterThan(30)
    const ips = logins.map(login => String(login.ip))
    expect(ips.filter(ip => isIPv6(ip)).length).toBeGreaterThan(5_000)
    for (const form of [/^::ffff:/, /^2002:/, /^\d+\.\d+\.\d+\.\d+$/]) {
      expect(ips.filter(ip => form.test(ip)).length).toBeGreaterThan(500)
    }
    expect(logins.filter(login => Object.hasOwn(login, '__proto__')).length).toBeGreaterThan(500)
    expect(events.filter(event => textOf(event).includes('São')).length).toBeGreaterThan(500)
  })

  test('each always in the same way', () => {
    const forms = new Map<string, Set<string>>()
    for (const [index, login] of logins.entries()) {
      const device = String(login.device_id)
      const form = `${Object.keys(bodies[index]!)} ${Object.keys(login)} ${events[index]!.headers.map(([name]) => name)}`
      forms.set(device, (forms.get(device) ?? new Set()).add(form))
    }
    expect(Math.max(...[...forms.values()].map(({ size }) => size))).toBe(1)
  })
})

describe('what is wrong with an event is what was asked for', () => {
  test.each<[keyof Shares, string[]]>([
    ['missingOptional', ['accepted']],
    ['missingRequired', ['missing_timestamp', 'missing_user_id']],
    ['brokenJson', ['not_an_object', 'not_json']],
    ['notUtf8', ['not_utf8']],
    ['emptyValue', ['empty_value']],
    ['invalidRequired', ['invalid_timestamp', 'invalid_user_id']],
    ['tooDeep', ['too_deep']],
    ['tooLarge', ['too_large']],
    ['late', ['late']],
    ['future', ['future_timestamp']],
  ])('%s', (name, expected) => {
    const events = take(500, { shares: only(name), maxEventBytes: MAX_BYTES })
    expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set([name]))
    expect([...outcomes(events)].sort()).toEqual(expected)
  })

  test('plain events are accepted', () => expect([...outcomes(take(500, { shares: NO_SHARES }))]).toEqual(['accepted']))

  test('an event is too large by one byte', () => {
    const lengths = take(200, { shares: only('tooLarge'), maxEventBytes: MAX_BYTES }).map(({ value }) => value?.length)
    expect(new Set(lengths)).toEqual(new Set([MAX_BYTES + 1]))
  })

  test('duplicates repeat bytes, key and partition of an earlier event', () => {
    const events = take(5_000, { shares: { ...NO_SHARES, duplicates: 0.2 } })
    const seen = new Set<string>()
    const text = ({ partition, key, value }: GeneratedEvent) => `${partition} ${key} ${value}`
    for (const event of events) {
      if (event.kind === 'duplicates') expect(seen.has(text(event))).toBe(true)
      seen.add(text(event))
    }
  })

  test('in about the share that was asked for', () => {
    const events = take(100_000)
    for (const [name, share] of Object.entries(DEFAULT_EVENT_OPTIONS.shares)) {
      const count = events.filter(({ kind }) => kind === name).length
      expect(Math.abs(count - share * 100_000)).toBeLessThanOrEqual(6 * Math.sqrt(share * 100_000))
    }
  })
})

describe('partitions', () => {
  const counts = (events: readonly GeneratedEvent[], partitions: number) =>
    Array.from({ length: partitions }, (_, partition) => events.filter(event => event.partition === partition).length)

  test('are those that Java and kafkajs give the key', () => {
    const kafkajs = javaPartitioner()
    const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({ partitionId, leader: 1 })) as never
    for (const { partition, key } of take(1_000, { partitions: 7 })) {
      expect(partition).toBe(kafkajs({ topic: 't', partitionMetadata, message: { key, value: null } }))
    }
  })

  test('one can be silent and another skewed', () => {
    const options = { partitions: 6, silentPartition: 2, skewed: { partition: 4, share: 0.7 } }
    const found = counts(take(20_000, options), 6)
    expect(found[2]).toBe(0)
    expect(found[4]! / 20_000).toBeCloseTo(0.7, 1)
    for (const partition of [0, 1, 3, 5]) expect(found[partition]!).toBeGreaterThan(500)
  })

  test.each([
    [{ partitions: 4, silentPartition: 4 }, 'no partition 4'],
    [{ partitions: 1, silentPartition: 0 }, 'leave none'],
    [{ partitions: 3, silentPartition: 1, skewed: { partition: 1, share: 0.5 } }, 'both silent and skewed'],
    [{ shares: { ...NO_SHARES, late: 0.6, future: 0.6 } }, 'at most 1'],
    [{ shares: only('tooLarge') }, 'MAX_EVENT_BYTES'],
  ])('%j are refused', (options, message) => {
    expect(() => createEventSource(options)).toThrow(message)
  })
})

// Kafka's own test vectors (org.apache.kafka.common.utils.UtilsTest).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %s is %d', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
  expect(javaPartition(Buffer.from(text), 10)).toBe((hash & 0x7fffffff) % 10)
})

test('a weighted choice keeps to its weights', () => {
  const random = new Random(3)
  const choice = new WeightedChoice([1, 0, 5, 2, 2])
  const counts = [0, 0, 0, 0, 0]
  for (let draw = 0; draw < 100_000; draw++) counts[choice.draw(random)]!++
  expect(counts.map(count => Math.round(count / 1_000))).toEqual([10, 0, 50, 20, 20])
})
