import { Aggregate } from '../../src/aggregate/aggregate.ts'
import { aggregateLimits } from '../../src/commands/role.ts'
import type { Settings } from '../../src/config/settings.ts'
import { type BatchSenderMessage, createBatchSender } from '../../src/kafka/batchSender.ts'
import { topicName } from '../../src/kafka/names.ts'
import { encodeMessage, type Message } from '../../src/tasks/messages.ts'

/** What the tool is asked to do, its one argument as JSON: partials as aggregators would have told them. */
export type PartialsTask = {
  readonly settings: Settings
  /** Source partitions. */
  readonly sources: number
  /** First window, and how many follow each other. */
  readonly firstWindow: number
  readonly windows: number
  /** Logins in each partial, each of another user. */
  readonly usersPerPartial: number
  /** Users that there are; each logs in again when all have. */
  readonly users: number
}

export type PartialsMessage = { readonly kind: 'done'; readonly partials: number; readonly records: number }

const WINDOWS_PER_SEND = 30
const VALUES = { deviceType: ['android', 'ios', 'web', 'tv'], locale: ['NY', 'CA', 'TX', 'WA', 'FL', 'RU'] }

async function write(task: PartialsTask): Promise<PartialsMessage> {
  const { settings, windows, sources } = task
  const partitions = settings.topics.partialsPartitions
  const topic = topicName(settings, 'partials')
  const sender = await createBatchSender(settings.kafka)
  const nextUser = createUsers(task.users)
  let records = 0
  for (let first = 0; first < windows; first += WINDOWS_PER_SEND) {
    const last = Math.min(windows, first + WINDOWS_PER_SEND)
    const messages: BatchSenderMessage[][] = Array.from({ length: partitions }, () => [])
    for (let i = first; i < last; i++) {
      const w = task.firstWindow + i
      for (let p = 0; p < sources; p++) messages[w % partitions]?.push(recordOf(partialOf(task, w, p, i, nextUser)))
    }
    // At the end all sources are far enough for every window to be final.
    const past = last === windows ? settings.allowedLatenessMs + 86_400_000 : 0
    const clock = (task.firstWindow + last) * settings.windowSizeMs + past
    for (const list of messages) {
      for (let p = 0; p < sources; p++) list.push(recordOf(progressOf(task, p, last, clock)))
    }
    for (const [partition, list] of messages.entries()) {
      records += list.length
      await sender.send(topic, partition, list)
    }
  }
  await sender.close()
  return { kind: 'done', partials: windows * sources, records }
}

function createUsers(users: number): () => string {
  let next = 0
  return () => `user-${next++ % users}`
}

/** Each window lies in a chunk of its own. */
function partialOf(task: PartialsTask, w: number, p: number, chunk: number, nextUser: () => string): Message {
  const { settings, usersPerPartial } = task
  const aggregate = new Aggregate(aggregateLimits(settings))
  for (let i = 0; i < usersPerPartial; i++) {
    const timeMs = w * settings.windowSizeMs + Math.floor((i * settings.windowSizeMs) / usersPerPartial)
    const userId = nextUser()
    const event = {
      userId,
      deviceId: `${userId}-phone`,
      deviceType: VALUES.deviceType[i % VALUES.deviceType.length] as string,
      locale: VALUES.locale[i % VALUES.locale.length] as string,
      appVersion: '2.3.0',
      timeMs,
      missing: 0,
      invalid: 0,
    }
    aggregate.add(event, '2.3', 'US', 'unknown')
  }
  const from = chunk * settings.chunkSize
  const through = from + usersPerPartial
  const range = { from, clockAtFrom: w * settings.windowSizeMs, through, last: through }
  const { generation } = settings
  return { kind: 'partial', generation, w, p, ...range, aggregate: aggregate.toJSON(), coverage: null }
}

function progressOf({ settings, sources, usersPerPartial }: PartialsTask, p: number, told: number, clock: number) {
  const totals = { accepted: told * usersPerPartial, late: 0, rejected: {} }
  const { generation } = settings
  const through = told * settings.chunkSize
  return { kind: 'progress', generation, p, of: sources, through, clock, idleAsOf: null, totals, gaps: [] } as const
}

function recordOf(message: Message): BatchSenderMessage {
  return { key: null, value: Buffer.from(encodeMessage(message)) }
}

process.send?.(await write(JSON.parse(process.argv[2] ?? '{}')))
