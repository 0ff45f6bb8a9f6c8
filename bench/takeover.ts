import { setTimeout as sleep } from 'node:timers/promises'
import type { RoleLine, RoleProcess } from '../src/dev/roleProcess.ts'
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'
import type { Lab, Pipeline } from './lab.ts'
import { steadyLoad } from './sources.ts'
import { RATE } from './steady.ts'
import type { LoadMessage } from './tools/load.ts'

/** One aggregator was killed and another went on with its partitions. */
type Takeover = {
  readonly partitions: number
  /** From the assignment to the live counting of the last of them. */
  readonly liveMs: number
  /** From the assignment to the first record of the last of them: the commits are read, earlier owners fenced. */
  readonly restoredMs: number
  /** From the kill to their live counting; holds the session timeout. */
  readonly sinceKillMs: number
  /** Events that the new owner had counted again, muted, before it was live. */
  readonly replayed: number
}

type Takeovers = {
  readonly byNewcomer: Takeover
  readonly byMember: Takeover
  readonly sessionTimeoutMs: number
}

const MOST_LIVE_MS = 2_000
const TAKEOVER_LIMIT_MS = 60_000
const PARTITIONS = 12
/** At 20,000 events/s a chunk of 65,536 offsets in each of 12 partitions is nearly full after this: the longest replay. */
const FULL_CHUNK_SECONDS = 37
const QUICK_SECONDS = 12
/** What two members need to share the partitions and to commit. */
const SETTLE_MS = 5_000
const SESSION_TIMEOUT_MS = 6_000

/**
 * Kills aggregators under load: first the only one, whose 12 partitions all go to one that waits in the group for them;
 * then one of two, the other of which keeps its own.
 */
export async function measureTakeovers(bench: Bench): Promise<Figure[]> {
  return takeoverFigures(await killAndTakeOver(bench))
}

async function killAndTakeOver({ lab, quick, say }: Bench): Promise<Takeovers> {
  const pipeline = await lab.pipeline('takeover', { SESSION_TIMEOUT: `${SESSION_TIMEOUT_MS}ms` })
  const first = new Member(lab, 'takeover-1', pipeline)
  const load = lab.tool<LoadMessage>('load.ts', steadyLoad(pipeline, RATE))
  const members = [first]
  try {
    await first.untilLive(PARTITIONS)
    await sleep((quick ? QUICK_SECONDS : FULL_CHUNK_SECONDS) * 1000)
    const second = new Member(lab, 'takeover-2', pipeline)
    members.push(second)
    const byNewcomer = await takeover(first, second, PARTITIONS)
    say(`the newcomer was live after ${byNewcomer.liveMs} ms`)
    const third = new Member(lab, 'takeover-3', pipeline)
    members.push(third)
    await third.untilLive(PARTITIONS / 2)
    await sleep(SETTLE_MS)
    const byMember = await takeover(second, third, PARTITIONS / 2)
    say(`the other member was live after ${byMember.liveMs} ms`)
    return { byNewcomer, byMember, sessionTimeoutMs: SESSION_TIMEOUT_MS }
  } finally {
    await load.stop()
    await Promise.all(members.map(({ role }) => lab.endRole(role)))
  }
}

/** The kill comes before the victim can hear of the other's joining: the group waits for its session to end. */
async function takeover(victim: Member, heir: Member, partitions: number): Promise<Takeover> {
  heir.forget()
  const killedAt = performance.now()
  victim.role.kill('SIGKILL')
  await heir.untilLive(partitions)
  const sinceKillMs = performance.now() - killedAt
  return { partitions, liveMs: heir.slowestLiveMs, restoredMs: heir.restoredMs, sinceKillMs, replayed: heir.replayed }
}

/** An aggregator and what its log says. */
class Member {
  readonly role: RoleProcess
  #live = new Map<number, number>()
  #replayed = 0
  #assignedAt = 0
  #restoredAt = 0
  #heard: () => void = () => {}

  constructor(lab: Lab, name: string, pipeline: Pipeline) {
    this.role = lab.role(name, 'aggregate', pipeline, line => this.#hear(line))
  }

  get slowestLiveMs(): number {
    return Math.max(...this.#live.values())
  }

  get restoredMs(): number {
    return this.#restoredAt - this.#assignedAt
  }

  get replayed(): number {
    return this.#replayed
  }

  forget(): void {
    this.#live = new Map()
    this.#replayed = 0
  }

  /** Resolves when so many partitions have become live since the start or the last `forget`. */
  async untilLive(partitions: number): Promise<void> {
    const { promise: limit, reject } = Promise.withResolvers<never>()
    const late = () => reject(new Error(`${this.role.name}: ${this.#live.size} of ${partitions} partitions are live`))
    const timer = setTimeout(late, TAKEOVER_LIMIT_MS)
    try {
      while (this.#live.size < partitions) {
        const heard = new Promise<void>(resolve => {
          this.#heard = resolve
        })
        await Promise.race([heard, limit])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #hear({ event, time, partition, position, committed, since_assigned_ms }: RoleLine): void {
    if (event === 'assigned') this.#assignedAt = Date.parse(String(time))
    if (event === 'restored') {
      this.#restoredAt = Date.parse(String(time))
      this.#replayed += Math.max(0, Number(committed ?? position) - Number(position))
    }
    if (event === 'live') this.#live.set(Number(partition), Number(since_assigned_ms))
    this.#heard()
  }
}

function takeoverFigures({ byNewcomer, byMember, sessionTimeoutMs }: Takeovers): Figure[] {
  const figure = (name: string, { partitions, liveMs, restoredMs, sinceKillMs, replayed }: Takeover): Figure => ({
    section: 'takeover',
    name: `assigned to live, ${partitions} partitions, ${name}`,
    value: liveMs,
    unit: 'ms',
    target: { most: MOST_LIVE_MS },
    peer: null,
    note: `at ${RATE} events/s; restored after ${restoredMs} ms, then ${replayed} events counted again; ${(sinceKillMs / 1000).toFixed(1)} s after the kill (session timeout ${sessionTimeoutMs / 1000} s)`,
  })
  return [figure('to a newcomer', byNewcomer), figure('to the other of two', byMember)]
}
