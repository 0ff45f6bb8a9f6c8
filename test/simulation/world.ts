import { createAggregateTaskFactory } from '../../src/tasks/aggregateTask.ts'
import { createReduceTaskFactory, type ReduceTask } from '../../src/tasks/reduceTask.ts'
import type { Task, TaskFactory } from '../../src/tasks/task.ts'
import { Broker, Log } from './broker.ts'
import { check } from './failure.ts'
import { Judge } from './judge.ts'
import { type Call, messageOf, Owner, type Slot } from './owner.ts'
import { BEGIN_MS, IDLE_MS, MAX_EVENT_BYTES, MAX_LETTER_BYTES, type Plan, SKEW_MS, WINDOW_MS } from './plan.ts'
import type { Random } from './random.ts'

export const CONFIG_HASH = 'simulation'

/** Promise steps after which every chain that a scheduler's step set off has come to rest at a port. */
const SETTLE_TURNS = 10

/** A source partition's log with its habits. */
export type Source = { readonly log: Log; silentUntil: number; backlog: number }

/** Everything that exists in one run. */
export class World {
  readonly plan: Plan
  readonly random: Random
  readonly judge: Judge
  readonly broker: Broker
  readonly sources: Source[] = []
  readonly slots: Slot[] = []
  /** What dead or impatient owners sent and the broker may still get. */
  readonly lateCalls: { readonly owner: Owner; readonly call: Call }[] = []
  readonly counts: Record<string, number> = {}
  readonly trace: ((line: string) => void) | null
  hash = 0x811c9dc5
  latestEventMs = BEGIN_MS
  appended = 0
  /** Steps for which nothing breaks yet. */
  lullSteps = 0
  /** Whose owner is meant to end with an error. */
  mayEnd: Slot | null = null
  #owners = 0

  constructor(plan: Plan, random: Random, trace: ((line: string) => void) | null) {
    this.plan = plan
    this.random = random
    this.trace = trace
    this.judge = new Judge(plan)
    this.broker = new Broker(BEGIN_MS, {
      published: (slot, log, record, output) => {
        this.note(record.offset)
        this.note(record.value?.length ?? 0)
        trace?.(
          `    ${slot} -> ${log.topic}/${log.number}@${record.offset} ${new TextDecoder().decode(record.value ?? undefined)}`,
        )
        this.judge.published(slot, log, record, output)
      },
      committed: (slot, commit) => {
        this.note(commit.offset)
        trace?.(`    ${slot} committed ${commit.offset} ${commit.metadata}`)
        this.judge.committed(slot, commit)
      },
    })
    for (let r = 0; r < plan.reducers; r++) this.#addReducer(r)
    for (let p = 0; p < plan.partitions; p++) this.addPartition()
  }

  addPartition(): void {
    const p = this.sources.length
    const log = new Log('source', p, this.plan.logStart)
    this.broker.sources.push(log)
    this.sources.push({ log, silentUntil: 0, backlog: 0 })
    this.judge.addPartition(log)
    const factory = aggregateFactory(this.plan, CONFIG_HASH)
    this.#addSlot('aggregate', p, log, this.plan.exactlyOnce, factory)
  }

  #addReducer(r: number): void {
    const log = new Log('partials', r)
    this.broker.partials.push(log)
    this.broker.results.push(new Log('results', r))
    this.broker.letters.push(new Log('letters', r))
    this.#addSlot('reduce', r, log, true, reduceFactory(this.plan, CONFIG_HASH))
  }

  #addSlot(
    stage: Slot['stage'],
    partition: number,
    log: Log,
    transactional: boolean,
    factory: TaskFactory<Task>,
  ): void {
    const name = `${stage}/${partition}`
    this.slots.push({ name, stage, partition, log, transactional, factory, owners: [], current: null, losses: 0 })
  }

  startOwner(slot: Slot): Owner {
    const id = this.#owners++
    const least = slot.stage === 'aggregate' ? slot.partition + 1 : 1
    const all = this.sources.length
    // A process may not have heard of the newest partitions yet.
    const knownPartitions = this.random.chance(this.plan.knowsAll) ? all : this.random.between(least, all)
    const owner: Owner = new Owner({
      id,
      slot,
      broker: this.broker,
      knownPartitions,
      acceptsZombie: () => this.random.chance(this.plan.zombieCommits),
      on: what => {
        this.note(what.length)
        this.trace?.(`    ${owner.name} ${what}`)
      },
    })
    slot.owners.push(owner)
    slot.current = owner
    void owner.runner.start()
    return owner
  }

  /** Ends an owner without a word. What it has under way is done, is lost, or reaches the broker later. */
  kill(owner: Owner): void {
    owner.dead = true
    const { slot } = owner
    slot.owners = slot.owners.filter(other => other !== owner)
    if (slot.current === owner) slot.current = null
    for (const call of owner.calls) {
      const roll = this.random.below(10)
      if (roll < 4) owner.perform(call)
      else if (roll < 6) this.sendLate(owner, call)
    }
  }

  sendLate(owner: Owner, call: Call): void {
    if (!call.done && (call.name === 'send' || call.name === 'commit')) this.lateCalls.push({ owner, call })
  }

  /** Lets everything run until it waits for a port. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await null
    this.inspect()
  }

  /** What must hold after every step. */
  inspect(): void {
    for (const slot of this.slots) {
      for (const owner of slot.owners) this.#inspect(owner)
    }
  }

  #inspect(owner: Owner): void {
    if (owner.flushDue) {
      owner.flushDue = false
      void owner.runner.flush()
    }
    if (owner.slot === this.mayEnd) {
      check('refusal', owner.spoke === 0, () => `${owner.name} speaks where it had to refuse`)
      return
    }
    check('no-invariant', owner.fatal === null, () => `${owner.name} ended: ${messageOf(owner.fatal)}`)
    if (owner.runner.state === 'stopped') {
      const { slot } = owner
      slot.owners = slot.owners.filter(other => other !== owner)
      if (slot.current === owner) slot.current = null
    }
    const { task } = owner.runner
    if (task === null || owner.slot.stage !== 'reduce') return
    const { windows } = task as unknown as ReduceTask
    check('parking-bounded', windows <= this.plan.maxWindows, () => `${owner.name} holds ${windows} windows`)
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  /** Adds to the run's fingerprint. */
  note(value: number): void {
    this.hash = Math.imul(this.hash ^ (value & 0xffff), 0x01000193) >>> 0
  }
}

export function aggregateFactory(plan: Plan, configHash: string): TaskFactory<Task> {
  return createAggregateTaskFactory({
    generation: 1,
    configHash,
    windowSizeMs: WINDOW_MS,
    allowedLatenessMs: plan.latenessMs,
    maxFutureSkewMs: SKEW_MS,
    chunkSize: plan.chunkSize,
    partialsPartitions: plan.reducers,
    idleTimeoutMs: IDLE_MS,
    maxEventBytes: MAX_EVENT_BYTES,
    validationRequired: plan.required,
    limits: limitsOf(plan),
    outputs: {
      sourceTopic: 'source',
      deadLetterPartitions: plan.partitions,
      deadLetterMaxBytes: MAX_LETTER_BYTES,
      enriched: {
        enrich: event => ({ userId: event.userId, text: event.locale }),
        maxBytes: MAX_LETTER_BYTES,
        userIdKeyId: null,
      },
    },
  })
}

export function reduceFactory(plan: Plan, configHash: string): TaskFactory<Task> {
  return createReduceTaskFactory({
    generation: 1,
    configHash,
    windowSizeMs: WINDOW_MS,
    allowedLatenessMs: plan.latenessMs,
    correctionHorizonMs: plan.horizonMs,
    maxWindows: plan.maxWindows,
    limits: limitsOf(plan),
    partialsTopic: 'partials',
    deadLetterPartitions: plan.partitions,
  })
}

function limitsOf(plan: Plan): { readonly dimensionValues: number; readonly qualityFields: number } {
  return { dimensionValues: plan.maxDimensionValues, qualityFields: 5 }
}
