import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin, Kafka } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import { type Level, levelsOf } from '../windows/levels.ts'
import { fetchPartitionCounts, fetchTopicConfig } from './admin.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import { partialsTopic, type Stage, type TopicRole, topicName } from './names.ts'

export type PlannedTopic = {
  readonly role: TopicRole | 'rollups' | 'redrives'
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic that is not as planned. `fatal`: counts could become wrong, so nothing starts. */
export type TopicDifference = {
  readonly topic: string
  readonly kind: 'missing' | 'partitions' | 'setting'
  readonly fatal: boolean
  /** One line: what is, what is wanted, how to change it. */
  readonly text: string
}

export type TopicReport = { readonly created: readonly string[]; readonly differences: readonly TopicDifference[] }

const DAY_MS = 24 * 60 * 60 * 1000
const MIB = 1024 * 1024
/** Values of a dimension have at most 64 UTF-16 units, which JSON may write as 6 bytes each, and a count. */
const VALUE_BYTES = 64 * 6 + 16
const DIMENSIONS = 6
/** About what a user of the sample, and a session of theirs, come to in the base64 of a partial. */
const USER_BYTES = 128
const SESSION_BYTES = 20
/** Readers that begin anew read what is not compacted yet: by Kafka's defaults a gigabyte or a week of old revisions. */
const COMPACTED = {
  'cleanup.policy': 'compact',
  'segment.bytes': String(64 * MIB),
  'segment.ms': String(60 * 60 * 1000),
  'min.cleanable.dirty.ratio': '0.2',
}
const KNOWN_LIMIT_MS = 10_000
const KNOWN_POLL_MS = 100
const REMEDY = "run 'tidemark topics'"

/** The topic that remembers which dead letters have been redriven; dead letters have no generations, so neither has it. */
export function redrivesTopic({ topics }: Pick<Settings, 'topics'>): string {
  return `${topics.deadLetters}-redriven`
}

/** The topics that the stages need, with the settings that their correctness rests on. */
export function topicPlan(settings: Settings): readonly PlannedTopic[] {
  const { sourcePartitions, partialsPartitions, replicationFactor } = settings.topics
  const minInSync = { 'min.insync.replicas': replicationFactor >= 3 ? '2' : '1' }
  const plan = (
    role: Exclude<PlannedTopic['role'], 'partials' | 'rollups'>,
    partitions: number,
    config: Record<string, string>,
  ): PlannedTopic => ({
    role,
    name: nameOf(settings, role),
    partitions,
    replicationFactor,
    config: { ...config, ...minInSync },
  })
  const resultBytes = Math.max(MIB, DIMENSIONS * settings.maxDimensionValues * VALUE_BYTES) + MIB / 4
  const partials = levelsOf(settings).map<PlannedTopic>(level => ({
    role: level.number === 0 ? 'partials' : 'rollups',
    name: partialsTopic(settings, level),
    partitions: partialsPartitions,
    replicationFactor,
    config: {
      'cleanup.policy': 'delete',
      'message.timestamp.type': 'LogAppendTime',
      'retention.ms': String(partialsRetentionMs(settings, level)),
      'retention.bytes': '-1',
      'max.message.bytes': String(resultBytes + sampleBytes(settings, level)),
      ...minInSync,
    },
  }))
  return [
    plan('source', sourcePartitions, { 'message.timestamp.type': 'CreateTime' }),
    plan('enriched', sourcePartitions, { 'max.message.bytes': String(settings.maxEventBytes + MIB) }),
    // A dead letter is the original record and its headers: it needs more room than a source topic's 1 MiB.
    plan('deadLetters', sourcePartitions, {
      'max.message.bytes': String(Math.max(resultBytes, settings.maxEventBytes) + MIB),
    }),
    // One partition: a redrive reads it whole before it begins, and writes to it in every transaction.
    plan('redrives', 1, { 'cleanup.policy': 'compact' }),
    ...partials,
    plan('results', partialsPartitions, { ...COMPACTED, 'max.message.bytes': String(resultBytes) }),
    plan('deviceStats', partialsPartitions, COMPACTED),
  ]
}

function nameOf(settings: Settings, role: Exclude<PlannedTopic['role'], 'partials' | 'rollups'>): string {
  return role === 'redrives' ? redrivesTopic(settings) : topicName(settings, role)
}

/** The most that the users of one window come to in a partial. */
function sampleBytes({ userSampleSize, sessionGapMs }: Settings, { sizeMs }: Level): number {
  return userSampleSize * (USER_BYTES + SESSION_BYTES * (1 + Math.ceil(sizeMs / sessionGapMs)))
}

/** How long a partial of a level may be asked for again, milliseconds: its window's whole life and a day to be away. */
export function partialsRetentionMs(settings: Settings, { sizeMs }: Pick<Level, 'sizeMs'>): number {
  return sizeMs + settings.allowedLatenessMs + settings.correctionHorizonMs + DAY_MS
}

/**
 * Creates the topics that are missing and compares the others with the plan.
 * @throws TidemarkError `refused_topic` when the brokers refuse to create one
 */
export async function ensureTopics(kafka: Kafka, settings: Settings): Promise<TopicReport> {
  return await withAdmin(kafka, async admin => {
    const plan = topicPlan(settings)
    const existing = await fetchPartitionCounts(
      admin,
      plan.map(topic => topic.name),
    )
    const missing = plan.filter(topic => !existing.has(topic.name))
    if (missing.length > 0) await createTopics(admin, missing)
    const present = plan.filter(topic => existing.has(topic.name))
    const differences = await compareTopics(admin, present, existing)
    return { created: missing.map(topic => topic.name), differences }
  })
}

/** Compares all planned topics with what there is, creating none. */
export async function compareAllTopics(kafka: Kafka, settings: Settings): Promise<readonly TopicDifference[]> {
  return await withAdmin(kafka, async admin => {
    const plan = topicPlan(settings)
    const existing = await fetchPartitionCounts(
      admin,
      plan.map(topic => topic.name),
    )
    return await compareTopics(admin, plan, existing)
  })
}

const NEEDED: Readonly<Record<Stage | 'redrive', readonly PlannedTopic['role'][]>> = {
  redrive: ['source', 'deadLetters', 'redrives'],
  aggregate: ['source', 'enriched', 'deadLetters', 'partials'],
  reduce: ['source', 'deadLetters', 'partials', 'rollups', 'results', 'deviceStats'],
  sink: ['results'],
}

/**
 * @throws TidemarkError `refused_topic` or `refused_partition_count`, naming the remedy, when a topic that the role needs
 * is missing or would make its counts wrong
 */
export async function verifyTopicsForRole(kafka: Kafka, settings: Settings, role: Stage | 'redrive'): Promise<void> {
  const needed = NEEDED[role].filter(needed => needed !== 'enriched' || settings.enriched.enabled)
  const planned = topicPlan(settings).filter(topic => needed.includes(topic.role))
  const names = new Set(planned.map(topic => topic.name))
  const fatal = (await compareAllTopics(kafka, settings)).filter(({ topic, fatal }) => fatal && names.has(topic))
  if (fatal.length === 0) return
  const code = fatal.some(({ kind }) => kind === 'partitions') ? 'refused_partition_count' : 'refused_topic'
  throw new TidemarkError(code, `${role} cannot start: ${fatal.map(({ text }) => text).join('; ')}`)
}

/** What writers have to know of a topic. */
export type TopicFacts = {
  readonly partitions: number
  /** The longest record batch that the topic takes. */
  readonly maxMessageBytes: number
}

/**
 * Asks the brokers for the facts of the roles' topics.
 * @throws TidemarkError `refused_topic` when one does not exist
 */
export async function readTopicFacts<R extends TopicRole>(
  kafka: Kafka,
  settings: Settings,
  roles: readonly R[],
): Promise<Readonly<Record<R, TopicFacts>>> {
  return await withAdmin(kafka, async admin => {
    const names = roles.map(role => topicName(settings, role))
    const counts = await fetchPartitionCounts(admin, names)
    const facts = roles.map(async (role, index) => {
      const name = names[index] as string
      const partitions = counts.get(name)
      if (partitions === undefined) {
        throw new TidemarkError('refused_topic', `topic ${name} does not exist; ${REMEDY} to create it`)
      }
      const config = await fetchTopicConfig(admin, name)
      return [role, { partitions, maxMessageBytes: Number(config['max.message.bytes'] ?? MIB) }] as const
    })
    return Object.fromEntries(await Promise.all(facts)) as Record<R, TopicFacts>
  })
}

async function createTopics(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: topics.map(({ name, partitions, replicationFactor, config }) => ({
        topic: name,
        numPartitions: partitions,
        replicationFactor,
        configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      })),
    })
  } catch (cause) {
    // The topics are made; the broker that was asked for their leaders does not know of them yet.
    if (protocolTypeOf(cause) === 'UNKNOWN_TOPIC_OR_PARTITION') return await untilKnown(admin, topics)
    const reasons = (cause as { errors?: Error[] }).errors?.map(error => error.message) ?? [(cause as Error).message]
    const names = topics.map(topic => topic.name).join(', ')
    throw new TidemarkError('refused_topic', `the brokers refuse to create ${names}: ${reasons.join('; ')}`, { cause })
  }
}

/** @throws TidemarkError when the brokers do not know all of the topics within KNOWN_LIMIT_MS */
async function untilKnown(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  const names = topics.map(topic => topic.name)
  const deadline = Date.now() + KNOWN_LIMIT_MS
  while (Date.now() < deadline) {
    if ((await fetchPartitionCounts(admin, names)).size === names.length) return
    await sleep(KNOWN_POLL_MS)
  }
  throw new TidemarkError('refused_topic', `the brokers do not know ${names.join(', ')} after their creation`)
}

async function compareTopics(
  admin: Admin,
  plan: readonly PlannedTopic[],
  existing: ReadonlyMap<string, number>,
): Promise<TopicDifference[]> {
  const differences: TopicDifference[] = []
  for (const topic of plan) {
    const partitions = existing.get(topic.name)
    if (partitions === undefined) {
      const text = `topic ${topic.name} does not exist; ${REMEDY} to create it`
      differences.push({ topic: topic.name, kind: 'missing', fatal: true, text })
      continue
    }
    const config = await fetchTopicConfig(admin, topic.name)
    differences.push(...comparePartitions(topic, partitions), ...compareConfig(topic, config))
  }
  return differences
}

/** Differences in the partition count alone; pure. */
export function comparePartitions(topic: PlannedTopic, partitions: number): TopicDifference[] {
  if (partitions === topic.partitions) return []
  const fatal = isPartials(topic.role)
  const tooFew = partitions < topic.partitions && topic.role !== 'results'
  const alter = `kafka-topics --alter --topic ${topic.name} --partitions ${topic.partitions}`
  const renew = `set PARTIALS_PARTITIONS=${partitions}, or begin a new generation with 'tidemark topics rewind'`
  const how = fatal ? renew : tooFew ? alter : 'nothing has to be done'
  const text = `topic ${topic.name} has ${partitions} partitions, planned are ${topic.partitions}: ${how}`
  return [{ topic: topic.name, kind: 'partitions', fatal, text }]
}

/** Differences in a topic's settings; pure. A longer retention than planned is none. */
export function compareConfig(topic: PlannedTopic, actual: Readonly<Record<string, string>>): TopicDifference[] {
  const differences: TopicDifference[] = []
  for (const [name, wanted] of Object.entries(topic.config)) {
    const is = actual[name]
    if (is === undefined || is === wanted || isEnough(name, is, wanted)) continue
    const change = `kafka-configs --alter --topic ${topic.name} --add-config ${name}=${wanted}`
    const reason =
      name === 'retention.ms'
        ? ` (at least ${wanted} ms; if a setting of a running generation was changed, put it back or 'tidemark topics rewind')`
        : ''
    differences.push({
      topic: topic.name,
      kind: 'setting',
      fatal: isFatal(topic.role, name),
      text: `topic ${topic.name} has ${name}=${is}, wanted is ${wanted}${reason}: ${change}`,
    })
  }
  return differences
}

function isPartials(role: PlannedTopic['role']): boolean {
  return role === 'partials' || role === 'rollups'
}

function isFatal(role: PlannedTopic['role'], name: string): boolean {
  // A forgotten redrive could be done again.
  if (role === 'redrives') return name === 'cleanup.policy'
  // What the reducer may need again must still be there, and finality rests on the broker's own timestamps.
  return isPartials(role) && name !== 'min.insync.replicas'
}

function isEnough(name: string, is: string, wanted: string): boolean {
  if (name === 'retention.ms') return is === '-1' || Number(is) >= Number(wanted)
  if (name === 'max.message.bytes' || name === 'min.insync.replicas') return Number(is) >= Number(wanted)
  return false
}

export async function withAdmin<T>(kafka: Kafka, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await use(admin)
  } catch (cause) {
    throw deliveryError('the administration of topics', cause)
  } finally {
    await admin.disconnect()
  }
}
