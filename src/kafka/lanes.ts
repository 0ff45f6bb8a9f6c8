import { invariant } from '../errors.ts'

export type Place = { readonly topic: string; readonly partition: number }

/**
 * One number for each partition of all topics that a group reads, so that whoever runs partitions need not know of topics.
 * With one topic a lane is the partition's number; of several, lane = place of the topic * stride + partition.
 */
export type Lanes = {
  readonly topics: readonly string[]
  /** @returns null for a partition that is not to be read */
  laneOf(topic: string, partition: number): number | null
  placeOf(lane: number): Place
}

/** The lanes of one topic, however many partitions it has or gets. */
export function lanesOfTopic(topic: string): Lanes {
  return {
    topics: [topic],
    laneOf: (name, partition) => (name === topic ? partition : null),
    placeOf: partition => ({ topic, partition }),
  }
}

/** The lanes of topics that have `stride` partitions each; more than that are not read. */
export function lanesOfTopics(topics: readonly string[], stride: number): Lanes {
  return {
    topics,
    laneOf: (name, partition) => {
      const place = topics.indexOf(name)
      return place < 0 || partition >= stride ? null : place * stride + partition
    },
    placeOf: lane => {
      const topic = topics[Math.floor(lane / stride)]
      invariant(topic !== undefined, `there is no lane ${lane}`)
      return { topic, partition: lane % stride }
    },
  }
}
