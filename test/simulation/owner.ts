import { TidemarkError } from '../../src/errors.ts'
import { PartitionRunner } from '../../src/runtime/partitionRunner.ts'
import type { PartitionPorts } from '../../src/runtime/ports.ts'
import {
  type Commit,
  type LogRange,
  type OutputRecord,
  recordsOf,
  type Task,
  type TaskFactory,
} from '../../src/tasks/task.ts'
import type { Broker, Log, Sender, SimulatedBatch } from './broker.ts'
import { FLUSH_MAX_BYTES, IDLE_MS } from './plan.ts'

/** A call of an owner that only the scheduler can end. Its effect and its answer are two steps. */
export type Call = {
  readonly name: 'fence' | 'readCommit' | 'readLogRange' | 'begin' | 'send' | 'commit' | 'sleep' | 'look'
  readonly records: readonly OutputRecord[]
  readonly commit: Commit | null
  /** What is done at the broker; an error is the broker's answer. */
  readonly effect: () => unknown
  done: boolean
  answer: unknown
  refusal: unknown
  readonly resolve: (answer: never) => void
  readonly reject: (error: unknown) => void
}

/** A partition of a stage, and who owned it. */
export type Slot = Sender & {
  readonly log: Log
  readonly transactional: boolean
  factory: TaskFactory<Task>
  /** Alive owners, zombies too. */
  owners: Owner[]
  /** Whom the group means. */
  current: Owner | null
  /** How often its log lost records that were not counted. */
  losses: number
}

export type OwnerOptions = {
  readonly id: number
  readonly slot: Slot
  readonly broker: Broker
  readonly knownPartitions: number
  /** Whether the group takes a commit of an owner that it no longer means. */
  readonly acceptsZombie: () => boolean
  readonly on: (what: string) => void
}

/** One process's hold on one partition: the real runner with ports that the scheduler works. */
export class Owner {
  readonly id: number
  readonly slot: Slot
  readonly runner: PartitionRunner<Task>
  readonly calls: Call[] = []
  fetchPosition = 0
  paused = true
  suspended = false
  dead = false
  fatal: unknown = null
  /** The owner's clock minus the broker's. */
  skewMs = 0
  knownPartitions: number
  lastBatch: SimulatedBatch | null = null
  looking = false
  /** The flush timer strikes after the present step. */
  flushDue = false
  /** Reads the log's range next, having found no commit. */
  sawNoCommit = false
  /** Calls by which it tried to tell something. */
  spoke = 0
  /** How often it was told an end of the log that lags behind. */
  lagged = 0
  readonly #options: OwnerOptions
  #epoch = -1

  constructor(options: OwnerOptions) {
    this.#options = options
    this.id = options.id
    this.slot = options.slot
    this.knownPartitions = options.knownPartitions
    this.runner = new PartitionRunner<Task>({
      partition: options.slot.partition,
      factory: options.slot.factory,
      ports: this.#ports(),
      idleTimeoutMs: IDLE_MS,
      // A reducer's results are many events' worth.
      flushMaxBytes: options.slot.stage === 'reduce' ? 10 * FLUSH_MAX_BYTES : FLUSH_MAX_BYTES,
      flushMaxEvents: 0,
      now: () => this.now(),
      sleep: () => this.#call('sleep', () => undefined),
      sourcePartitions: () => this.knownPartitions,
      on: {
        restored: (position, committed) => {
          this.sawNoCommit = false
          options.on(`restored at ${position}, committed ${committed}`)
        },
        live: position => options.on(`live at ${position}`),
        failed: error => options.on(`failed: ${messageOf(error)}`),
        fatal: error => {
          this.fatal = error
          options.on(`fatal: ${messageOf(error)}`)
        },
      },
    })
  }

  get name(): string {
    return `${this.slot.name}#${this.id}`
  }

  now(): number {
    return this.#options.broker.now + this.skewMs
  }

  /** Looks at the log's end, as the runtime does from time to time. */
  look(): void {
    const { task } = this.runner
    if (task === null || this.looking) return
    const { position } = task
    const asOf = this.now()
    this.looking = true
    const { log } = this.slot
    const look = this.#call<LogRange>('look', () => ({ start: log.start, end: log.end }))
    look.then(
      range => {
        this.looking = false
        this.runner.observe(position, range, asOf)
      },
      () => {
        this.looking = false
      },
    )
  }

  /** Does what the call asks of the broker, if it was not done. */
  perform(call: Call): void {
    if (call.done) return
    call.done = true
    try {
      call.answer = call.effect()
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error
      call.refusal = error
    }
  }

  /** A send of which only some records reached the broker. */
  performInstead(call: Call, records: readonly OutputRecord[]): void {
    call.done = true
    try {
      this.send(records)
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error
    }
  }

  answer(call: Call): void {
    this.perform(call)
    this.#forget(call)
    if (call.refusal !== null) call.reject(call.refusal)
    else call.resolve(call.answer as never)
  }

  /** The call fails, or its outcome stays unknown. */
  fail(call: Call): void {
    this.#forget(call)
    call.reject(new TidemarkError('delivery_failed', `${call.name} came to nothing`, { retriable: true }))
  }

  #forget(call: Call): void {
    this.calls.splice(this.calls.indexOf(call), 1)
  }

  #call<T>(name: Call['name'], effect: () => T, records: readonly OutputRecord[] = [], commit: Commit | null = null) {
    if (name === 'begin' || name === 'send' || name === 'commit') this.spoke++
    return new Promise<T>((resolve, reject) => {
      this.calls.push({ name, records, commit, effect, done: false, answer: undefined, refusal: null, resolve, reject })
    })
  }

  #ports(): PartitionPorts {
    const { broker, slot } = this.#options
    const { name, transactional, log } = slot
    return {
      fence: async () => {
        const epoch = await this.#call('fence', () => (transactional ? broker.fence(slot) : 0))
        this.#epoch = epoch
      },
      readCommit: () => {
        return this.#call('readCommit', () => {
          const commit = broker.commits.get(name) ?? null
          this.sawNoCommit = commit === null
          return commit
        })
      },
      readLogRange: () => this.#call('readLogRange', () => ({ start: log.start, end: log.end })),
      begin: () => {
        const epoch = this.#epoch
        return this.#call('begin', () => (transactional ? broker.begin(slot, epoch) : undefined))
      },
      // The epoch is that of the call: what arrives late at the broker bears the old one.
      send: outputs => {
        const records = recordsOf(outputs)
        const epoch = this.#epoch
        return this.#call('send', () => this.send(records, epoch), records)
      },
      commit: commit => {
        const epoch = this.#epoch
        return this.#call('commit', () => this.#commit(commit, epoch), [], commit)
      },
      seek: offset => {
        this.fetchPosition = offset
      },
      pause: () => {
        this.paused = true
      },
      resume: () => {
        this.paused = false
      },
    }
  }

  /** Sends records, or some of them: what reached the broker of a send that failed. */
  send(records: readonly OutputRecord[], epoch = this.#epoch): void {
    const { broker, slot } = this.#options
    if (slot.transactional) broker.sendInTransaction(slot, epoch, records)
    else broker.send(slot, records)
  }

  #commit(commit: Commit, epoch: number): void {
    const { broker, slot, acceptsZombie } = this.#options
    if (slot.transactional) {
      broker.commitTransaction(slot, epoch, commit)
      return
    }
    if (slot.current !== this && !acceptsZombie()) {
      throw new TidemarkError('fenced', 'the generation of this member is over')
    }
    broker.commit(slot, commit)
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof TidemarkError) return `${error.code}: ${error.message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
