import { configHash } from '../config/configHash.ts'
import { duration } from '../config/kinds.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, TidemarkError } from '../errors.ts'
import { createTopicReader } from '../kafka/admin.ts'
import { createKafka, type KafkaClient, untilReachable } from '../kafka/client.ts'
import { findGeneration, removeGeneration } from '../kafka/generations.ts'
import { parseRewindTarget, type RewindTarget, rewind } from '../kafka/rewind.ts'
import { ensureTopics, type TopicReport, topicPlan } from '../kafka/topics.ts'
import { verifyCommits } from '../kafka/verifyCommits.ts'
import { initialAggregateCommit } from '../tasks/aggregateCommit.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { optionValue } from './options.ts'

type Asked =
  | { readonly kind: 'ensure' }
  | { readonly kind: 'check' }
  | { readonly kind: 'rewind'; readonly target: RewindTarget }
  | { readonly kind: 'remove'; readonly generation: number; readonly yes: boolean }

/** `tidemark topics`: creates the topics that are missing, begins generations and removes them. */
export const command: CommandFile = {
  define: topics =>
    topics
      .argument(
        '[action]',
        "'check' changes nothing and tells whether these settings may go on from what is committed; 'rewind' begins the next generation beside the running one; 'remove' ends an old one",
      )
      .option('--to <where>', "rewind: where it begins: 'earliest', an ISO 8601 time, or '<partition>:<offset>,...'")
      .option('--generation <n>', 'remove: the generation whose topics and groups are shown, and deleted with --yes')
      .option('--yes', 'remove: delete what is shown')
      .option('--wait <time>', 'how long to wait for a broker to answer, as 60s'),
  run: async (context, { wait, ...options }, [action]) => {
    const waitMs = wait === undefined ? 0 : optionValue('--wait', duration('0', '1h', 'orZero'), wait)
    const asked = parse(options, action)
    const settings = loadSettings(context.env, context.readFile)
    // What goes wrong is said by the errors; kafkajs's own lines would come before them.
    await untilReachable(settings.kafka, () => {}, waitMs)
    const kafka = createKafka(settings.kafka, () => {}, { retries: 5 })
    if (asked.kind === 'check') return await check(context, kafka, settings)
    if (asked.kind === 'rewind') return await begin(context, kafka, settings, asked.target)
    if (asked.kind === 'remove') return await remove(context, kafka, settings, asked)
    return await ensure(context, kafka, settings)
  },
}

function parse(options: Readonly<Record<string, unknown>>, action: string | undefined): Asked {
  const { to, generation, yes } = options
  if (action === undefined && to === undefined && generation === undefined && yes === undefined)
    return { kind: 'ensure' }
  if (action === 'check' && to === undefined && generation === undefined && yes === undefined) return { kind: 'check' }
  if (action === 'rewind' && typeof to === 'string' && generation === undefined && yes === undefined) {
    return { kind: 'rewind', target: parseRewindTarget(to) }
  }
  if (action === 'remove' && typeof generation === 'string' && to === undefined) {
    if (!/^[1-9][0-9]{0,6}$/.test(generation)) {
      throw new TidemarkError('usage', `--generation ${generation}: a whole number from 1 to 1000000 is allowed`)
    }
    return { kind: 'remove', generation: Number(generation), yes: yes === true }
  }
  const allowed =
    "'topics', 'topics check', 'topics rewind --to <where>' and 'topics remove --generation <n> [--yes]' are allowed"
  throw new TidemarkError('usage', `topics ${action ?? ''}: ${allowed}`)
}

async function check({ stdout }: CommandContext, kafka: KafkaClient, settings: Settings): Promise<number> {
  const reader = createTopicReader(kafka)
  try {
    const { verified, fresh } = await verifyCommits(reader, settings)
    stdout.write(
      `config hash ${configHash(settings)}, generation ${settings.generation}: these settings may go on from the commits of ` +
        `${verified} partitions; ${fresh} have none yet\n`,
    )
    return EXIT.done
  } finally {
    await reader.close()
  }
}

async function begin(
  context: CommandContext,
  kafka: KafkaClient,
  settings: Settings,
  target: RewindTarget,
): Promise<number> {
  const { generation, groupId, offsets, topics } = await rewind(kafka, settings, target, (next, offset) =>
    initialAggregateCommit(configHash(next), next.topics.partialsPartitions, offset),
  )
  printReport(context, topics)
  const places = [...offsets].map(([partition, offset]) => `${partition}:${offset}`).join(',')
  context.stdout.write(`group ${groupId} begins at ${places}\n`)
  context.stdout.write(
    `set STREAM_GENERATION=${generation} for the aggregate and reduce processes of the new generation; ` +
      'those of the running one may go on beside them.\n' +
      `When it has caught up, set it for sink and serve too, and end the old one: tidemark topics remove --generation ${settings.generation}\n`,
  )
  return EXIT.done
}

async function remove(
  { stdout }: CommandContext,
  kafka: KafkaClient,
  settings: Settings,
  { generation, yes }: { readonly generation: number; readonly yes: boolean },
): Promise<number> {
  if (generation === settings.generation) {
    const how = 'set STREAM_GENERATION to the one that stays'
    throw new TidemarkError('usage', `--generation ${generation}: it is the one in use; ${how}`)
  }
  const parts = await findGeneration(kafka, settings, generation)
  for (const { name, partitions, records } of parts.topics) {
    stdout.write(`topic ${name}: ${partitions} partitions, ${records} offsets\n`)
  }
  for (const { id, members } of parts.groups) stdout.write(`group ${id}: ${members} members\n`)
  if (parts.topics.length + parts.groups.length === 0) {
    stdout.write(`there is nothing of generation ${generation}\n`)
    return EXIT.done
  }
  if (!yes) {
    stdout.write('nothing was removed; with --yes all of this is deleted\n')
    return EXIT.done
  }
  await removeGeneration(kafka, parts)
  stdout.write(`generation ${generation} is removed\n`)
  return EXIT.done
}

async function ensure(context: CommandContext, kafka: KafkaClient, settings: Settings): Promise<number> {
  const report = await ensureTopics(kafka, settings)
  printReport(context, report)
  if (report.differences.some(({ fatal }) => fatal)) return EXIT.refused
  context.stdout.write(`${topicPlan(settings).length} topics are ready\n`)
  return EXIT.done
}

function printReport({ stdout, stderr }: CommandContext, { created, differences }: TopicReport): void {
  for (const name of created) stdout.write(`created ${name}\n`)
  for (const { fatal, text } of differences) {
    if (fatal) stderr.write(`refused: ${text}\n`)
    else stdout.write(`note: ${text}\n`)
  }
}
