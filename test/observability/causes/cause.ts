import type { EmbeddedKafka } from '../../../src/dev/kafka/embeddedKafka.ts'
import type { Labels, Scene } from '../support/scene.ts'
import type { SlowNetwork } from '../support/slowNetwork.ts'

/** What there is beside the scene itself. */
export type Surroundings = { readonly kafka: EmbeddedKafka; readonly network: SlowNetwork }

/** Something that goes wrong, and the alerts that say so. */
export type Cause = {
  /** Of the scene; what is wrong in one word. */
  readonly name: string
  /** What goes wrong. */
  readonly what: string
  /** Each of them is seen to fire, and not before its cause. */
  readonly alerts: readonly string[]
  readonly settings?: Labels
  /** By how much the times of the rules are divided where 60 would leave a cause too little time to show. */
  readonly divisor?: number
  /** Whether the roles reach Kafka through the network that can be made slow. */
  readonly throughNetwork?: boolean
  run(scene: Scene, surroundings: Surroundings): Promise<void>
}
