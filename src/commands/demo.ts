import { InvalidArgumentError } from 'commander'
import { type DemoOptions, type DemoOutcome, runDemo } from '../dev/demo/demo.ts'
import { EXIT } from '../errors.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { untilSignalled } from './signals.ts'

const DEFAULT_EVENTS = 400_000
const DEFAULT_SECONDS = 20

/** `tidemark demo`: from nothing to live numbers, trouble on the way, and a verdict at the end. */
export const command: CommandFile = {
  define: demo =>
    demo
      .option('--events <n>', 'how many events to produce', count, DEFAULT_EVENTS)
      .option('--seconds <n>', 'over how many seconds', count, DEFAULT_SECONDS)
      .option('--keep', 'leave everything running after the verdict, until Ctrl-C')
      .option('--json', 'the last line is one JSON object; all else goes to stderr'),
  run: async (context, options) => {
    const { events, seconds, keep, json } = options as { events: number; seconds: number; keep?: true; json?: true }
    const abort = new AbortController()
    void untilSignalled().then(() => abort.abort())
    const out = (json ? context.stderr : context.stdout) as DemoOptions['out']
    const outcome = await runDemo({ events, seconds, keep: keep === true, out, env: context.env, signal: abort.signal })
    print(context, outcome, out, json === true)
    return outcome.differenceCount === 0 ? EXIT.done : EXIT.failed
  },
}

function print(context: CommandContext, outcome: DemoOutcome, out: DemoOptions['out'], json: boolean): void {
  const { differences, differenceCount, seconds, secondsToFirstResult, delivery, ...told } = outcome
  const { enriched, deadLetters, ...numbers } = told
  const { byCode, ...letters } = deadLetters
  for (const difference of differences) out.write(`difference: ${difference}\n`)
  out.write(`enriched: ${words(enriched)} (${delivery})\n`)
  out.write(`dead letters: ${words(letters)}\ndead letters by code: ${words(byCode)}\n`)
  out.write(
    `verdict: ${words({ ...numbers, differences: differenceCount })} (${seconds.toFixed(1)} s, first result after ${secondsToFirstResult.toFixed(1)} s)\n`,
  )
  if (!json) return
  const line = {
    ...numbers,
    delivery,
    enriched,
    deadLetters,
    differences: differenceCount,
    details: differences,
    seconds,
    seconds_to_first_result: secondsToFirstResult,
  }
  context.stdout.write(`${JSON.stringify(line)}\n`)
}

function words(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('allowed: a whole number from 1')
  return value
}
