import type { OutputRecord } from '../../src/tasks/task.ts'
import { check } from './failure.ts'
import type { Plan } from './plan.ts'
import type { Fold, Made, Truth } from './truth.ts'

/** What has become readable of the events of one source partition. */
type Told = {
  readonly countByOffset: Map<number, number>
  /** The latest offset by topic. */
  readonly latest: Map<string, number>
}

/** Holds enriched events and dead letters, as they become readable, against what their source records are. */
export class EventJudge {
  readonly #plan: Plan
  readonly #told = new Map<number, Told>()

  constructor(plan: Plan) {
    this.#plan = plan
  }

  published(truth: Truth, output: OutputRecord): void {
    const p = truth.partition
    const offset = Number(headerOf(output, 'source.offset'))
    const what = `${output.topic} of ${p}/${offset}`
    if (headerOf(output, 'error.code') === 'corrupt_batch') {
      const damaged = truth.log.damaged.some(({ from, to }) => from <= offset && offset < to)
      check('event-true', damaged, () => `${what}: nothing is damaged there`)
      return
    }
    const made = truth.records[truth.countBelow(offset)]
    check('event-true', made?.offset === offset && headerOf(output, 'source.partition') === String(p), () => {
      return `${what}: no such source record`
    })
    if (output.topic === 'enriched') this.#enriched(truth, made as Made, output, what)
    else this.#letter(truth, made as Made, output, what)
    const told = this.#toldOf(p)
    const before = told.countByOffset.get(offset) ?? 0
    told.countByOffset.set(offset, before + 1)
    const latest = told.latest.get(output.topic) ?? -1
    told.latest.set(output.topic, offset)
    if (!this.#plan.exactlyOnce) return
    check('event-once', before === 0, () => `${what} came before`)
    check('event-once', offset > latest, () => `${what} came after ${latest}`)
  }

  /** Everything has been told of the records numbered [from, to) that is not lost, nor an event that is only counted. */
  checkTold(what: string, truth: Truth, fold: Fold, from: number, to: number): void {
    const told = this.#toldOf(truth.partition)
    for (let i = from; i < to; i++) {
      const { offset } = truth.records[i] as Made
      const outcome = fold.outcomes[i]
      const isSilent = outcome === 'lost' || (outcome === 'accepted' && !this.#plan.enriches)
      const there = isSilent || told.countByOffset.has(offset)
      check('event-told', there, () => `${what}: the record at ${offset} is in neither topic`)
    }
  }

  #enriched(truth: Truth, { offset, spec }: Made, output: OutputRecord, what: string): void {
    check('event-true', this.#plan.enriches, () => `${what}: events are only counted`)
    const { locale } = JSON.parse(String(output.value)) as { locale: string }
    check('event-true', this.#outcomes(truth, offset).includes('accepted') && locale === spec.locale, () => {
      return `${what}: ${output.value}, but it is ${this.#outcomes(truth, offset)}, ${spec.locale}`
    })
  }

  #letter(truth: Truth, { offset, spec }: Made, output: OutputRecord, what: string): void {
    const code = headerOf(output, 'error.code')
    const same = Buffer.compare(Buffer.from(output.value ?? ''), spec.value ?? Buffer.alloc(0)) === 0
    check('event-true', same && this.#outcomes(truth, offset).includes(code ?? ''), () => {
      return `${what}: ${code}, but it is ${this.#outcomes(truth, offset)}`
    })
  }

  /** What became of the record in each history that was ever told. */
  #outcomes(truth: Truth, offset: number): string[] {
    const index = truth.countBelow(offset)
    return truth.folds().map(fold => fold.outcomes[index] as string)
  }

  #toldOf(p: number): Told {
    let told = this.#told.get(p)
    if (told === undefined) {
      told = { countByOffset: new Map(), latest: new Map() }
      this.#told.set(p, told)
    }
    return told
  }
}

export function headerOf(output: OutputRecord, name: string): string | undefined {
  return output.headers?.findLast(([key]) => key === name)?.[1]?.toString()
}
