import type { ReduceTask } from '../../src/tasks/reduceTask.ts'
import type { Task, TaskFactory } from '../../src/tasks/task.ts'
import type { Level } from '../../src/windows/levels.ts'
import { Broker, Log, type Sender } from './broker.ts'
import { aggregateFactory, CONFIG_HASH, reduceFactory } from './factories.ts'
import { check } from './failure.ts'
import { Judge } from './judge.ts'
import { type Call, messageOf, Owner, type Slot } from './owner.ts'
import { BEGIN_MS, maxWindowsOf, type Plan } from './plan.ts'
import type { Random } from './random.ts'

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
      published: (sender, log, record, output) => {
        this.note(record.offset)
        this.note(record.value?.length ?? 0)
        trace?.(
          `    ${sender.name} -> ${log.topic}/${log.number}@${record.offset} ${new TextDecoder().decode(record.value ?? undefined)}`,
        )
        this.judge.published(sender, log, record, output)
      },
      committed: (sender, commit) => {
        this.note(commit.offset)
        trace?.(`    ${sender.name} committed ${commit.offset} ${commit.metadata}`)
        this.judge.committed(sender, commit)
      },
    })
    for (const level of plan.levels) this.#addReducers(level)
    for (let p = 0; p < plan.partitions; p++) this.addPartition()
  }

  addPartition(): void {
    const p = this.sources.length
    const log = new Log('source', p, this.plan.logStart)
    this.broker.sources.push(log)
    this.sources.push({ log, silentUntil: 0, backlog: 0 })
    this.judge.addPartition(log)
    const factory = aggregateFactory(this.plan, CONFIG_HASH)
    const name = `aggregate/${p}`
    this.#addSlot({ name, stage: 'aggregate', level: 0, partition: p }, log, this.plan.exactlyOnce, factory)
  }

  #addReducers(level: Level): void {
    const { number } = level
    const suffix = number === 0 ? '' : `.${number}`
    const logsOf = (topic: string) => {
      return Array.from({ length: this.plan.reducers }, (_, r) => new Log(`${topic}${suffix}`, r))
    }
    const partials = logsOf('partials')
    const told = { results: logsOf('results'), deviceStats: logsOf('deviceStats'), letters: logsOf('letters') }
    this.broker.levels.push({ partials, ...told })
    const factory = reduceFactory(this.plan, CONFIG_HASH, level)
    partials.forEach((log, r) => {
      const name = `reduce${suffix}/${r}`
      this.#addSlot({ name, stage: 'reduce', level: number, partition: r }, log, true, factory)
    })
  }

  #addSlot(sender: Sender, log: Log, transactional: boolean, factory: TaskFactory<Task>): void {
    this.slots.push({ ...sender, log, transactional, factory, owners: [], current: null, losses: 0 })
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
    const level = this.plan.levels[owner.slot.level] as Level
    check('parking-bounded', windows <= maxWindowsOf(this.plan, level), () => `${owner.name} holds ${windows} windows`)
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  /** Adds to the run's fingerprint. */
  note(value: number): void {
    this.hash = Math.imul(this.hash ^ (value & 0xffff), 0x01000193) >>> 0
  }
}
