import { loadSettings } from '../config/load.ts'
import { EXIT } from '../errors.ts'
import { createTopicReader } from '../kafka/admin.ts'
import { checkReachable, createKafka } from '../kafka/client.ts'
import { type DeadLetter, type OnLetter, readLetters } from '../kafka/deadLetters.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { LetterCounts } from './dlq/counts.ts'
import { NamedLetters } from './dlq/named.ts'
import { type DlqOptions, defineDlq, parseDlqOptions } from './dlq/options.ts'
import { flushed, say } from './dlq/output.ts'
import { jsonLine, LIST_HEAD, listed, listRow, shown, showText } from './dlq/print.ts'
import { redriveLetters } from './dlq/redrive.ts'

const RETRIES = 8

/** `tidemark dlq`: looks into the dead-letter topic, and puts records back into the source topic. */
export const command: CommandFile = {
  define: defineDlq,
  run: async (context, given, args) => {
    const options = parseDlqOptions(given, args)
    const settings = loadSettings(context.env, context.readFile)
    // What goes wrong is said by the errors; kafkajs's own lines would come before them.
    await checkReachable(settings.kafka, () => {})
    const kafka = createKafka(settings.kafka, () => {}, { retries: RETRIES })
    const reader = createTopicReader(kafka)
    try {
      if (options.action === 'redrive') return await redriveLetters(context, kafka, reader, settings, options)
      const read: Read = onLetter =>
        readSome(context, options, onLetter, each =>
          readLetters(kafka, reader, settings.topics.deadLetters, options.filter, each),
        )
      return options.action === 'count' ? await count(context, options, read) : await print(context, options, read)
    } finally {
      await reader.close()
      await Promise.all([flushed(context.stdout), flushed(context.stderr)])
    }
  },
}

type Read = (onLetter: (letter: DeadLetter) => void | Promise<void>) => Promise<number>

/** Reads up to the limit; resolves to the exit code, which tells whether letters that were named are not there. */
async function readSome(
  context: CommandContext,
  { limit, filter }: DlqOptions,
  onLetter: Parameters<Read>[0],
  read: (each: OnLetter) => Promise<void>,
): Promise<number> {
  let taken = 0
  let more = false
  const named = new NamedLetters(filter)
  await read(async letter => {
    more = limit !== null && taken >= limit
    if (more) return false
    taken++
    named.see(letter)
    await onLetter(letter)
    return true
  })
  if (more) context.stderr.write(`only the first ${limit} letters were read (--limit)\n`)
  return more || named.tellMissing(context.stderr) ? EXIT.done : EXIT.failed
}

async function count({ stdout }: CommandContext, { json, by }: DlqOptions, read: Read): Promise<number> {
  const counts = new LetterCounts()
  const code = await read(letter => counts.add(letter))
  if (json) {
    const byPartition = counts.byPartition().map(([partition, codes]) => [partition, Object.fromEntries(codes)])
    const detail =
      by === 'code'
        ? { by_code: Object.fromEntries(counts.byCode()) }
        : { by_partition: Object.fromEntries(byPartition) }
    stdout.write(`${jsonLine({ total: counts.total, ...detail })}\n`)
    return code
  }
  const row = (count: string | number, ...rest: readonly string[]) =>
    stdout.write(`${String(count).padStart(12)}  ${rest.join('  ')}\n`)
  if (by === 'code') for (const [code, count] of counts.byCode()) row(count, code)
  else {
    for (const [partition, codes] of counts.byPartition()) {
      for (const [code, count] of codes) row(count, `partition ${partition}`.padEnd(14), code)
    }
  }
  row(counts.total, 'in all')
  return code
}

async function print(context: CommandContext, options: DlqOptions, read: Read): Promise<number> {
  const { stdout, stderr } = context
  const { action, json, reveal } = options
  if (reveal) stderr.write('personal data is shown (--reveal)\n')
  if (action === 'list' && !json) stdout.write(`${LIST_HEAD}\n`)
  const line = (letter: DeadLetter) => {
    if (action === 'list') return json ? jsonLine(listed(letter)) : listRow(letter)
    return json ? jsonLine(shown(letter, reveal)) : showText(letter, reveal)
  }
  return await read(letter => say(stdout, `${line(letter)}\n`))
}
