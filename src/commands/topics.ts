import { configHash } from '../config/configHash.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, TidemarkError } from '../errors.ts'
import { checkReachable, createKafka, type KafkaClient } from '../kafka/client.ts'
import { parseRewindTarget, rewind } from '../kafka/rewind.ts'
import { ensureTopics, type TopicReport, topicPlan } from '../kafka/topics.ts'
import { initialAggregateCommit } from '../tasks/aggregateCommit.ts'
import type { CommandContext, CommandFile } from './command.ts'

/** `tidemark topics`: creates the topics that are missing and says how the others differ from what is needed. */
export const command: CommandFile = {
  define: topics =>
    topics
      .argument('[action]', "'rewind' starts the next generation beside the running one")
      .option('--to <where>', "where it begins: 'earliest', an ISO 8601 time, or '<partition>:<offset>,...'"),
  run: async (context, options, [action]) => {
    if (action !== undefined && action !== 'rewind') {
      throw new TidemarkError('usage', `topics ${action}: only 'topics' and 'topics rewind --to <where>' are allowed`)
    }
    const to = typeof options.to === 'string' ? options.to : null
    if ((action === 'rewind') !== (to !== null)) {
      throw new TidemarkError('usage', "'topics rewind' and --to go together: topics rewind --to earliest")
    }
    const target = to === null ? null : parseRewindTarget(to)
    const settings = loadSettings(context.env, context.readFile)
    // What goes wrong is said by the errors; kafkajs's own lines would come before them.
    await checkReachable(settings.kafka, () => {})
    const kafka = createKafka(settings.kafka, () => {}, { retries: 5 })
    if (target === null) return await ensure(context, kafka, settings)
    const { generation, groupId, offsets, topics } = await rewind(kafka, settings, target, (next, offset) =>
      initialAggregateCommit(configHash(next), next.topics.partialsPartitions, offset),
    )
    printReport(context, topics)
    const places = [...offsets].map(([partition, offset]) => `${partition}:${offset}`).join(',')
    context.stdout.write(`group ${groupId} begins at ${places}\n`)
    context.stdout.write(
      `set STREAM_GENERATION=${generation} for the aggregate and reduce processes of the new generation; ` +
        'those of the running one may go on beside them\n',
    )
    return EXIT.done
  },
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
