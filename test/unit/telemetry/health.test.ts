import { beforeEach, describe, expect, it } from 'vitest'
import { Health } from '../../../src/telemetry/health.ts'

const SETTINGS = { maxStallMs: 60_000, maxLag: 100, maxFlushMs: 5_000, maxMemoryShare: 0.9, failOn: [] }
const NOTHING_ODD = { memory: { usedBytes: 50, limitBytes: 100 }, rejectedShare: 0 }

let health: Health
let now: number

beforeEach(() => {
  health = new Health(SETTINGS, 0.1)
  now = 0
  health.brokersSeen(0)
})

function reading(partition: number, position: number, lag: number | null = 10) {
  return { partition, position, lag, clockMs: null }
}

/** Lets time pass in seconds, with brokers that answer unless told otherwise. */
function pass(seconds: number, each: () => void = () => {}, brokersAnswer = true): void {
  for (let i = 0; i < seconds; i++) {
    now += 1_000
    if (brokersAnswer) health.brokersSeen(now)
    each()
  }
}

function alive(): boolean {
  return health.livez(now).ok
}

describe('alive', () => {
  it('before the group is joined, however long that takes', () => {
    pass(600)
    expect(alive()).toBe(true)
  })

  it('while positions move', () => {
    health.assigned([0], now)
    health.live(0, now)
    let position = 0
    pass(300, () => health.observe([reading(0, position++)], now))
    expect(alive()).toBe(true)
  })

  it('while nothing waits, or nobody knows whether anything does', () => {
    health.assigned([0, 1], now)
    pass(300, () => health.observe([reading(0, 5, 0), reading(1, 5, null)], now))
    expect(alive()).toBe(true)
  })

  it('while flushes end', () => {
    health.assigned([0], now)
    health.live(0, now)
    pass(300, () => {
      health.observe([reading(0, 5)], now)
      if (now % 50_000 === 0) health.flushed(0, 0.1, now)
    })
    expect(alive()).toBe(true)
  })

  it('while a restore is tried again and again: that is the fault of something else', () => {
    health.assigned([0], now)
    pass(300, () => health.restoring(0, 'unreachable', now))
    expect(alive()).toBe(true)
    expect(health.readyz([]).ok).toBe(false)
  })

  it('while it waits at a batch that cannot be read', () => {
    health.assigned([0], now)
    health.live(0, now)
    health.corrupt(0, true, now)
    pass(300, () => health.observe([reading(0, 5)], now))
    expect(alive()).toBe(true)
    health.corrupt(0, false, now)
    pass(61, () => health.observe([reading(0, 5)], now))
    expect(alive()).toBe(false)
  })

  it('while the brokers are away, and for the whole of the limit after they have come back', () => {
    health.assigned([0], now)
    health.live(0, now)
    const still = () => health.observe([reading(0, 5)], now)
    pass(50, still)
    pass(600, still, false)
    expect(alive()).toBe(true)
    pass(60, still)
    expect(alive()).toBe(true)
    pass(2, still)
    expect(alive()).toBe(false)
  })

  it('while it drains', () => {
    health.assigned([0], now)
    health.draining()
    pass(300)
    expect(alive()).toBe(true)
  })
})

describe('stalled', () => {
  it('is a partition that stands still for longer than the limit while records wait', () => {
    health.assigned([0, 1], now)
    health.live(0, now)
    health.live(1, now)
    let position = 0
    const step = () => health.observe([reading(0, position++), reading(1, 5)], now)
    pass(61, step)
    expect(alive()).toBe(true)
    pass(1, step)
    expect(health.livez(now)).toEqual({
      ok: false,
      body: {
        live: false,
        brokers_answer: true,
        stalled: [{ partition: 1, state: 'live', seconds: 61 }],
        max_stall_seconds: 60,
      },
    })
  })

  it('is a restore that never comes to an end', () => {
    health.assigned([0], now)
    pass(61)
    expect(health.livez(now)).toMatchObject({ ok: false, body: { stalled: [{ partition: 0, state: 'restoring' }] } })
  })

  it('is over when the partition is given away', () => {
    health.assigned([0], now)
    pass(100)
    expect(alive()).toBe(false)
    health.assigned([], now)
    expect(alive()).toBe(true)
  })
})

describe('ready', () => {
  it('once joined, with all partitions live', () => {
    expect(health.readyz([])).toMatchObject({ ok: false, body: { joined: false } })
    health.assigned([0, 1], now)
    health.restoring(0, null, now)
    health.live(0, now)
    expect(health.readyz([])).toMatchObject({ ok: false, body: { restoring: [{ partition: 1, reason: null }] } })
    health.live(1, now)
    expect(health.readyz([]).ok).toBe(true)
    health.restoring(1, 'fenced', now)
    expect(health.readyz([])).toMatchObject({ ok: false, body: { restoring: [{ partition: 1, reason: 'fenced' }] } })
  })

  it('also without a partition, when others have them all', () => {
    health.assigned([], now)
    expect(health.readyz([]).ok).toBe(true)
  })

  it('keeps what is live over a rebalance, and asks for what is new', () => {
    health.assigned([0], now)
    health.live(0, now)
    health.assigned([0, 1], now)
    expect(health.readyz([])).toMatchObject({ ok: false, body: { restoring: [{ partition: 1 }] } })
    health.assigned([0], now)
    expect(health.readyz([]).ok).toBe(true)
  })

  it('not while draining', () => {
    health.assigned([], now)
    health.draining()
    expect(health.readyz([])).toMatchObject({ ok: false, body: { draining: true } })
  })

  it('tells of alarms and of unreadable batches, and stays ready', () => {
    health.assigned([0], now)
    health.live(0, now)
    health.corrupt(0, true, now)
    const share = { partition: 0, records: 200, rejected: 50, share: 0.25, codes: [['not_json', 50]] as const }
    expect(health.readyz([share])).toMatchObject({
      ok: true,
      body: {
        waiting_at_corrupt_batch: [0],
        rejected_share_passed: [{ partition: 0, share: 0.25, records: 200, codes: { not_json: 50 } }],
      },
    })
  })
})

describe('the report', () => {
  it('has a value, a threshold and a state for each check', () => {
    health.assigned([0, 1], now)
    health.observe([reading(0, 5, 60), reading(1, 5, 40)], now)
    health.flushed(0, 0.4, now)
    health.flushed(1, 0.3, now)
    const { ok, body } = health.healthz({ ...NOTHING_ODD, rejectedShare: 0.11 }, now)
    expect(ok).toBe(true)
    expect(body.checks).toEqual({
      container: { state: 'ok', value: 0.5, threshold: 0.9, unit: 'ratio' },
      lag: { state: 'ok', value: 100, threshold: 100, unit: 'records' },
      error_rate: { state: 'exceeded', value: 0.11, threshold: 0.1, unit: 'ratio' },
      processing_time: { state: 'ok', value: 0.4, threshold: 5, unit: 'seconds' },
    })
  })

  it('knows nothing before there is anything, and does not fail for that', () => {
    health = new Health({ ...SETTINGS, failOn: ['lag', 'error_rate', 'processing_time'] }, 0.1)
    const { ok, body } = health.healthz({ ...NOTHING_ODD, rejectedShare: null }, now)
    expect(ok).toBe(true)
    expect(body.checks).toMatchObject({
      lag: { state: 'unknown', value: null },
      error_rate: { state: 'unknown' },
      processing_time: { state: 'unknown' },
    })
  })

  it.each([
    ['container', { memory: { usedBytes: 91, limitBytes: 100 }, rejectedShare: 0 }],
    ['lag', NOTHING_ODD],
    ['error_rate', { ...NOTHING_ODD, rejectedShare: 0.2 }],
    ['processing_time', NOTHING_ODD],
  ] as const)('fails by %s only when that is set to fail', (name, surroundings) => {
    const answers = ([[], [name]] as const).map(failOn => {
      const one = new Health({ ...SETTINGS, failOn }, 0.1)
      one.assigned([0], now)
      one.observe([reading(0, 5, name === 'lag' ? 101 : 1)], now)
      one.flushed(0, name === 'processing_time' ? 6 : 1, now)
      return one.healthz(surroundings, now)
    })
    expect(answers.map(({ ok }) => ok)).toEqual([true, false])
    expect(answers.map(({ body }) => body.failed)).toEqual([[], [name]])
  })

  it('forgets a slow flush after a minute', () => {
    health.assigned([0], now)
    health.flushed(0, 9, now)
    health.flushed(0, 1, 30_000)
    const slowest = (at: number) => health.healthz(NOTHING_ODD, at).body.checks
    expect(slowest(59_999)).toMatchObject({ processing_time: { state: 'exceeded', value: 9 } })
    expect(slowest(60_000)).toMatchObject({ processing_time: { state: 'ok', value: 1 } })
    expect(slowest(90_000)).toMatchObject({ processing_time: { state: 'unknown', value: null } })
  })
})
