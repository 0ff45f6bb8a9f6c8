import { encodeMessage, type ProgressMessage } from './messages.ts'
import type { CaptureInput, OutputRecord } from './task.ts'

export type ProgressTellerSettings = {
  readonly partialsPartitions: number
  /** Progress is told at least this often. */
  readonly idleTimeoutMs: number
}

/** Knows what one source partition has last told of its progress, and when it is time to tell it again. */
export class ProgressTeller {
  readonly #settings: ProgressTellerSettings
  readonly #partition: number
  #last: { closed: number; of: number; idle: boolean; at: number } | null = null

  constructor(settings: ProgressTellerSettings, partition: number) {
    this.#settings = settings
    this.#partition = partition
  }

  /**
   * Whether something has come that reducers wait for; then it counts as told.
   * @param closed the last window that takes no more events
   */
  isDue(input: CaptureInput, closed: number): boolean {
    const last = this.#last
    const idle = input.idleAsOf !== null
    const due =
      last === null ||
      closed !== last.closed ||
      input.sourcePartitions !== last.of ||
      idle !== last.idle ||
      input.now - last.at >= this.#settings.idleTimeoutMs
    if (due) this.#last = { closed, of: input.sourcePartitions, idle, at: input.now }
    return due
  }

  /**
   * Every reducer waits for every source.
   * @param level the level of the reducers; 0 is the base
   */
  toAllPartitions(progress: ProgressMessage, level = 0): OutputRecord[] {
    const value = encodeMessage(progress)
    const key = `progress/${this.#partition}`
    return Array.from({ length: this.#settings.partialsPartitions }, (_, partition) => {
      return { topic: 'partials', level, partition, key, value }
    })
  }
}
