import type { Command } from 'commander'
import { TidemarkError } from '../errors.ts'
import { type KindSettings, keyAt, kindsOf, type WindowKind } from './windows.ts'

/** What `tidemark audit` was asked for. */
export type AuditOptions = {
  readonly choice: Choice
  /** Where the stored results are read. */
  readonly from: 'topic' | 'sql'
  readonly json: boolean
  /** Whether provisional results are audited, too. */
  readonly provisional: boolean
}

/** Windows by their keys, or by chance, or all; `sizes` is null for every size. */
export type Choice =
  | { readonly kind: 'windows'; readonly keys: readonly string[] }
  | { readonly kind: 'random'; readonly count: number; readonly seed: number; readonly sizes: Sizes }
  | { readonly kind: 'all'; readonly sizes: Sizes }
export type Sizes = ReadonlySet<string> | null

const MAX_SEED = 2 ** 32

const EXAMPLES = `
Examples:
  tidemark audit --window 10s/2026-01-31T08:00:10.000Z
  tidemark audit --random 20
  tidemark audit --random 5 --size 1h,1d --seed 4711 --from sql
  tidemark audit --all --size 1m --json

The source topic itself is read and counted again by an implementation of its own; every number is compared.
Exit codes: 0 all equal; 1 a difference was found; 2 usage, or no such window; 3 the log no longer holds what is needed.`

/** Tells commander about the command line. */
export function defineAudit(audit: Command): void {
  const gather = (value: string, before: readonly string[] | undefined) => [...(before ?? []), value]
  audit
    .option('--window <key>', 'a window, as 10s/2026-01-31T08:00:10.000Z; may be given several times', gather)
    .option('--random <n>', 'so many windows, chosen by chance among those that the log still holds')
    .option('--all', 'every window')
    .option('--size <list>', 'with --random or --all: only windows of these sizes, with commas between them')
    .option('--seed <n>', 'with --random: chooses the same windows again')
    .option('--from <where>', "where the stored results are read: 'topic' (default) or 'sql' (DATABASE_URL)")
    .option('--provisional', 'windows that are not final, too')
    .option('--json', 'a line of JSON for each window, and one at the end')
    .addHelpText('after', EXAMPLES)
}

/**
 * @param chance a seed for when none is given
 * @throws TidemarkError `usage`, naming the option, its value and what is allowed
 */
export function parseAuditOptions(
  options: Readonly<Record<string, unknown>>,
  settings: KindSettings,
  chance: number,
): AuditOptions {
  const from = options.from ?? 'topic'
  if (from !== 'topic' && from !== 'sql') throw usage(`--from ${String(from)}`, "'topic' and 'sql' are allowed")
  const choice = parseChoice(options, kindsOf(settings), chance)
  return { choice, from, json: options.json === true, provisional: options.provisional === true }
}

function parseChoice(options: Readonly<Record<string, unknown>>, kinds: readonly WindowKind[], chance: number): Choice {
  const { window: windows, random, all, size, seed } = options
  const given = [windows, random, all].filter(option => option !== undefined)
  if (given.length !== 1) throw usage('audit', 'one of --window <key>, --random <n> and --all is needed')
  if (seed !== undefined && random === undefined) throw usage(`--seed ${String(seed)}`, 'it goes with --random only')
  if (windows !== undefined) {
    if (size !== undefined) throw usage(`--size ${String(size)}`, 'it goes with --random and --all only')
    return { kind: 'windows', keys: [...new Set((windows as readonly string[]).map(key => parseKey(key, kinds)))] }
  }
  const sizes = parseSizes(size, kinds)
  if (all !== undefined) return { kind: 'all', sizes }
  const count = wholeNumber('--random', random, 1, 1_000_000)
  return { kind: 'random', count, sizes, seed: seed === undefined ? chance : wholeNumber('--seed', seed, 0, MAX_SEED) }
}

/** The key as the results have it: a time may be written without its milliseconds. */
function parseKey(key: string, kinds: readonly WindowKind[]): string {
  const [size = '', start = '', ...rest] = key.split('/')
  const kind = kinds.find(each => each.size === size)
  const sizes = kinds.map(each => each.size).join(', ')
  if (kind === undefined || rest.length > 0) {
    throw usage(`--window ${key}`, `<size>/<start> is allowed, with a size of ${sizes}: as ${keyAt(kinds[0]!.size, 0)}`)
  }
  const time = /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(start) ? Date.parse(start) : Number.NaN
  if (Number.isNaN(time)) throw usage(`--window ${key}`, `a start as ${new Date(0).toISOString()} is allowed`)
  if (time % kind.hopMs !== 0) {
    const before = keyAt(size, Math.floor(time / kind.hopMs) * kind.hopMs)
    throw usage(`--window ${key}`, `no window of ${size} begins then; the one before is ${before}`)
  }
  return keyAt(size, time)
}

function parseSizes(given: unknown, kinds: readonly WindowKind[]): Sizes {
  if (given === undefined) return null
  const sizes = String(given)
    .split(',')
    .map(text => text.trim())
  for (const size of sizes) {
    if (kinds.some(kind => kind.size === size)) continue
    throw usage(`--size ${size}`, `allowed are ${kinds.map(kind => kind.size).join(', ')}`)
  }
  return new Set(sizes)
}

function wholeNumber(option: string, given: unknown, least: number, most: number): number {
  const number = /^\d{1,10}$/.test(String(given)) ? Number(given) : -1
  if (number >= least && number <= most) return number
  throw usage(`${option} ${String(given)}`, `a whole number from ${least} to ${most} is allowed`)
}

const usage = (what: string, allowed: string) => new TidemarkError('usage', `${what}: ${allowed}`)
