import type { Command } from 'commander'
import { nearest } from '../../config/nearest.ts'
import { TidemarkError } from '../../errors.ts'
import { CODE_MEANINGS } from '../../events/codes.ts'
import { parseTimestamp } from '../../events/timestamp.ts'
import type { LetterFilter } from '../../kafka/deadLetters.ts'

export type DlqAction = 'list' | 'show' | 'count' | 'redrive'

/** What `tidemark dlq` was asked for. */
export type DlqOptions = {
  readonly action: DlqAction
  readonly filter: LetterFilter
  /** The most letters to be listed, shown, counted or redriven; null for all. */
  readonly limit: number | null
  readonly json: boolean
  readonly by: 'code' | 'partition'
  readonly reveal: boolean
  /** Records a second; 0 for as fast as possible. */
  readonly rate: number
  readonly dryRun: boolean
  readonly force: boolean
}

const ACTIONS: readonly DlqAction[] = ['list', 'show', 'count', 'redrive']
const FILTERS = ['code', 'from', 'to', 'partition', 'letter'] as const
const DEFAULT_RATE = 100
/** Options that mean something to one action only. */
const ONLY: Readonly<Record<string, DlqAction>> = {
  by: 'count',
  reveal: 'show',
  all: 'redrive',
  rate: 'redrive',
  dryRun: 'redrive',
  force: 'redrive',
}

const EXAMPLES = `
Examples:
  tidemark dlq count --by partition
  tidemark dlq list --code late,future_timestamp --from 2026-01-31T08:00:00Z --limit 20
  tidemark dlq show --letter 3/1042
  tidemark dlq redrive --code invalid_timestamp --from 2026-01-31T08:00:00Z --rate 500
  tidemark dlq redrive --all --dry-run

A letter is named by its place in the dead-letter topic: <partition>/<offset>.
Exit codes: 0 done; 1 a letter was refused or is not there, or another redrive has taken over; 2 usage; 3 topics.`

/** Tells commander about the command line. */
export function defineDlq(dlq: Command): void {
  const gather = (value: string, before: readonly string[] | undefined) => [...(before ?? []), value]
  dlq
    .argument('<action>', 'list, show, count or redrive')
    .option('--code <list>', 'codes, with commas between them')
    .option('--from <time>', 'failed at or after this time (ISO 8601; without a zone: UTC)')
    .option('--to <time>', 'failed before this time')
    .option('--partition <list>', 'partitions of the dead-letter topic')
    .option('--letter <list>', 'letters as <partition>/<offset>; may be given several times', gather)
    .option('--limit <n>', 'at most so many letters')
    .option('--json', 'a line of JSON for each letter, or for the counts')
    .option('--by <what>', "count: by 'code' (default) or by 'partition' and code")
    .option('--reveal', 'show: with personal data')
    .option('--all', 'redrive: every letter')
    .option('--rate <n>', `redrive: records a second (default ${DEFAULT_RATE}); 0: as fast as possible`)
    .option('--dry-run', 'redrive: only say what would be done')
    .option('--force', 'redrive: also what was redriven before')
    .addHelpText('after', EXAMPLES)
}

/** @throws TidemarkError `usage`, naming the option, its value and what is allowed */
export function parseDlqOptions(options: Readonly<Record<string, unknown>>, args: readonly string[]): DlqOptions {
  const action = ACTIONS.find(known => known === args[0])
  if (action === undefined) throw usage(`dlq ${args[0] ?? ''}`.trim(), `${ACTIONS.join(', ')} are allowed`)
  for (const [option, only] of Object.entries(ONLY)) {
    if (options[option] !== undefined && action !== only) {
      throw usage(`--${option === 'dryRun' ? 'dry-run' : option}`, `it goes with 'dlq ${only}' only`)
    }
  }
  if (action === 'redrive') checkChoice(options)
  return {
    action,
    filter: parseFilter(options),
    limit: wholeNumber('--limit', options.limit, 1),
    json: options.json === true,
    by: parseBy(options.by),
    reveal: options.reveal === true,
    rate: wholeNumber('--rate', options.rate, 0, 'records a second, 0 for as fast as possible') ?? DEFAULT_RATE,
    dryRun: options.dryRun === true,
    force: options.force === true,
  }
}

/** Nobody redrives everything because an option was forgotten. */
function checkChoice(options: Readonly<Record<string, unknown>>): void {
  const given = FILTERS.filter(name => options[name] !== undefined)
  if (options.all === true && given.length > 0) throw usage('--all', `it does not go with --${given[0]}`)
  if (options.all === true || given.length > 0) return
  throw usage('dlq redrive', `it needs ${FILTERS.map(name => `--${name}`).join(', ')} or --all`)
}

function parseFilter(options: Readonly<Record<string, unknown>>): LetterFilter {
  const from = parseTime('--from', options.from)
  const to = parseTime('--to', options.to)
  if (from !== null && to !== null && from >= to) {
    throw usage(`--to ${String(options.to)}`, `a time after --from ${String(options.from)} is allowed`)
  }
  return {
    codes: parseCodes(options.code),
    from,
    to,
    partitions: parsePartitions(options.partition),
    letters: parseLetters(options.letter),
  }
}

function parseCodes(given: unknown): ReadonlySet<string> | null {
  if (given === undefined) return null
  const codes = listOf(given)
  const known = Object.keys(CODE_MEANINGS)
  for (const code of codes) {
    if (known.includes(code)) continue
    const near = nearest(code, known)
    throw usage(
      `--code ${code}`,
      `${near === undefined ? '' : `did you mean ${near}? `}allowed are ${known.join(', ')}`,
    )
  }
  return new Set(codes)
}

function parseTime(option: string, given: unknown): number | null {
  if (given === undefined) return null
  // Digits alone would be read as seconds: here that is more likely a slip.
  const time = /^\d{4}-\d{2}-\d{2}/.test(String(given)) ? parseTimestamp(given) : -1
  if (time >= 0) return time
  throw usage(`${option} ${String(given)}`, 'an ISO 8601 time (2026-01-31T08:00:00Z) is allowed')
}

function parsePartitions(given: unknown): ReadonlySet<number> | null {
  if (given === undefined) return null
  return new Set(
    listOf(given).map(text => {
      if (/^\d{1,9}$/.test(text)) return Number(text)
      throw usage(`--partition ${text}`, 'numbers from 0, with commas between them, are allowed')
    }),
  )
}

function parseLetters(given: unknown): ReadonlyMap<number, ReadonlySet<number>> | null {
  if (given === undefined) return null
  const letters = new Map<number, Set<number>>()
  for (const text of (given as readonly unknown[]).flatMap(listOf)) {
    const match = /^(\d{1,9})\/(\d{1,16})$/.exec(text)
    const [partition, offset] = [Number(match?.[1]), Number(match?.[2])]
    if (!Number.isSafeInteger(offset)) throw usage(`--letter ${text}`, '<partition>/<offset>, as 3/1042, is allowed')
    letters.set(partition, (letters.get(partition) ?? new Set()).add(offset))
  }
  return letters
}

function parseBy(given: unknown): 'code' | 'partition' {
  if (given === undefined || given === 'code') return 'code'
  if (given === 'partition') return 'partition'
  throw usage(`--by ${String(given)}`, "'code' and 'partition' are allowed")
}

function wholeNumber(option: string, given: unknown, least: number, of = 'letters'): number | null {
  if (given === undefined) return null
  const number = /^\d{1,9}$/.test(String(given)) ? Number(given) : -1
  if (number >= least) return number
  throw usage(`${option} ${String(given)}`, `a whole number from ${least} to 999999999 is allowed (${of})`)
}

/** Always at least one, which may be empty and then is refused. */
const listOf = (given: unknown): string[] =>
  String(given)
    .split(',')
    .map(text => text.trim())

const usage = (what: string, allowed: string) => new TidemarkError('usage', `${what}: ${allowed}`)
