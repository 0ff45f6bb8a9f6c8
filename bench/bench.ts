import type { Lab } from './lab.ts'
import type { Sources } from './sources.ts'

/** What every part of the benchmarks is given. */
export type Bench = {
  readonly lab: Lab
  readonly sources: Sources
  /** Events in the topics that are drained. */
  readonly events: number
  /** For a look, not for a claim. */
  readonly quick: boolean
  /** Where processes leave their CPU profiles; null for none. */
  readonly profileFolder: string | null
  readonly say: (line: string) => void
}
