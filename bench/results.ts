import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { UserSample } from '../src/aggregate/userSample.ts'
import { summarize } from '../src/aggregate/userSummary.ts'
import { startPostgres } from '../src/dev/postgres.ts'
import { createBatchSender } from '../src/kafka/batchSender.ts'
import { groupName, partialsTopic, topicName } from '../src/kafka/names.ts'
import type { Result } from '../src/results/result.ts'
import { decodeMessage } from '../src/tasks/messages.ts'
import { levelsOf } from '../src/windows/levels.ts'
import type { Bench } from './bench.ts'
import { type Figure, MIB } from './figure.ts'
import type { Lab, Pipeline } from './lab.ts'
import { usageOf } from './proc.ts'
import type { PartialsMessage, PartialsTask } from './tools/partials.ts'

type Results = {
  readonly partials: number
  readonly seconds: number
  readonly restartMs: number
  readonly sink: { readonly records: number; readonly rows: number; readonly seconds: number }
  readonly hour: { readonly distinct: number; readonly expected: number; readonly error: number }
  readonly peakBytes: number
  readonly worst: { readonly errors: number; readonly seeds: number; readonly users: number }
}

const SOURCES = 12
/** What aggregators tell each second of a partition that is not busy; thousands of users in each would be most of the work. */
const LOGINS_PER_PARTIAL = 5
const HOUR_MS = 3_600_000
const USERS = 1_000_000
const SEEDS = 100
const COPIED_DAYS = 2
const COPIES_PER_SEND = 300
const MOST_MEMORY_MIB = 512
const LEAST_PARTIALS_PER_SECOND = 20_000
const LEAST_SQL_RESULTS_PER_SECOND = 5_000
const MOST_RESTART_MS = 10_000
const LIMIT_MS = 300_000
const LOOK_MS = 50
/** Days that are over by now. */
const DAY_START_MS = Math.floor(Date.now() / 86_400_000 - 3) * 86_400_000

/** Three days of partials for one reducer, its restart behind them, what it told in SQL, and an hour of a million users. */
export async function measureResults(bench: Bench): Promise<Figure[]> {
  return resultFigures(await runStages(bench))
}

async function runStages({ lab, quick, profileFolder, say }: Bench): Promise<Results> {
  const day = await lab.pipeline('day')
  const hours = quick ? 6 : 72
  const filled = await fill(lab, day, { hours, usersPerPartial: LOGINS_PER_PARTIAL, users: 10_000 })
  say(`${filled.partials} partials of ${hours} h are written`)
  const { seconds } = await reduce(lab, day, profileFolder)
  say(`the reducer has merged them in ${seconds.toFixed(1)} s`)
  const partials = filled.partials + (await countHandUps(lab, day))
  const restartMs = await restart(lab, day)
  say(`a new reducer was ready after ${Math.round(restartMs)} ms`)
  const sink = await writeToSql(lab, day)
  say(`the sink has written ${sink.rows} windows in ${sink.seconds.toFixed(1)} s`)

  const many = await lab.pipeline('users', { ROLLUPS: '1m,1h' })
  const users = quick ? USERS / 10 : USERS
  const usersPerPartial = Math.ceil(users / (HOUR_MS / many.settings.windowSizeMs) / SOURCES)
  await fill(lab, many, { hours: 1, usersPerPartial, users })
  const { peakBytes } = await reduce(lab, many, null)
  const result = await resultOf(lab, many, '1h')
  say(`an hour of ${users} users: ${result.users.distinct} by the reducer`)
  const hour = { distinct: result.users.distinct, expected: users, error: result.users.relative_error }
  const worst = worstOfSeeds(quick ? SEEDS / 10 : SEEDS, users, many.settings.userSampleSize)
  return { partials, seconds, restartMs, sink, hour, peakBytes, worst }
}

async function fill(
  lab: Lab,
  { settings }: Pipeline,
  { hours, ...load }: { readonly hours: number } & Pick<PartialsTask, 'usersPerPartial' | 'users'>,
): Promise<PartialsMessage> {
  const firstWindow = DAY_START_MS / settings.windowSizeMs
  const windows = (hours * HOUR_MS) / settings.windowSizeMs
  const task: PartialsTask = { settings, sources: SOURCES, firstWindow, windows, ...load }
  const tool = lab.tool<PartialsMessage>('partials.ts', task)
  const done = await tool.message((message): message is PartialsMessage => message.kind === 'done')
  await tool.stop()
  return done
}

/** From the first live partition until the partials of all levels are merged, told and committed. */
async function reduce(
  lab: Lab,
  pipeline: Pipeline,
  profileFolder: string | null,
): Promise<{ seconds: number; peakBytes: number }> {
  const env = profileFolder === null ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` }
  const role = lab.role(`${pipeline.settings.consumerGroup}-reduce`, 'reduce', pipeline, undefined, env)
  try {
    await role.line(({ event }) => event === 'live')
    const startedAt = performance.now()
    await untilCommitted(lab, pipeline, 0)
    const seconds = (performance.now() - startedAt) / 1000
    await untilAllFinal(lab, pipeline)
    return { seconds, peakBytes: usageOf(role.pid)?.peakBytes ?? Number.NaN }
  } finally {
    await lab.endRole(role)
  }
}

async function untilAllFinal(lab: Lab, pipeline: Pipeline): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (performance.now() < deadline) {
    const results = [...(await resultsOf(lab, pipeline)).values()]
    const sizes = new Set(results.map(({ window }) => window.size))
    const isWhole = levelsOf(pipeline.settings).every(({ size }) => sizes.has(size))
    if (isWhole && results.every(({ status }) => status !== 'provisional')) return
    await sleep(10 * LOOK_MS)
  }
  throw new Error('windows are still provisional')
}

/** Until the group's commits stand at the ends that the level's topic has now. */
async function untilCommitted(lab: Lab, { settings }: Pipeline, number: number): Promise<void> {
  const level = levelsOf(settings)[number]
  if (level === undefined) throw new Error(`there is no level ${number}`)
  await untilRead(lab, groupName(settings, 'reduce'), partialsTopic(settings, level))
}

/** Until a group's commits stand at the ends that a topic has now; resolves to how many offsets that are. */
async function untilRead(lab: Lab, group: string, topic: string): Promise<number> {
  const ranges = await lab.reader.readLogRanges(topic)
  const deadline = performance.now() + LIMIT_MS
  while (performance.now() < deadline) {
    const commits = await Promise.all(ranges.map((_, partition) => lab.reader.readCommit(group, topic, partition)))
    const isRead = commits.every((commit, partition) => (commit?.offset ?? 0) >= (ranges[partition]?.end ?? 0))
    if (isRead) return ranges.reduce((sum, { start, end }) => sum + end - start, 0)
    await sleep(LOOK_MS)
  }
  throw new Error(`${group} has not read ${topic} within ${LIMIT_MS / 1000} s`)
}

/** Partials that the reducer has told itself, and merged into longer windows. */
async function countHandUps(lab: Lab, { settings }: Pipeline): Promise<number> {
  let handUps = 0
  for (const level of levelsOf(settings).slice(1)) {
    await lab.reader.readAll({
      topic: partialsTopic(settings, level),
      readCommitted: true,
      onMessage: ({ value }) => {
        if (value !== null && decodeMessage(value, 0, value.length)?.kind === 'partial') handUps++
      },
    })
  }
  return handUps
}

/** All results once more for the days before: what a sink has to catch up with after a while. */
async function copyDays(lab: Lab, pipeline: Pipeline): Promise<void> {
  const { settings } = pipeline
  const topic = topicName(settings, 'results')
  const results = [...(await resultsOf(lab, pipeline)).values()]
  const sender = await createBatchSender(settings.kafka)
  for (let day = 1; day <= COPIED_DAYS; day++) {
    const moved = results.map(result => daysBefore(result, 3 * day))
    for (let first = 0; first < moved.length; first += COPIES_PER_SEND) {
      const messages = moved.slice(first, first + COPIES_PER_SEND).map(result => ({
        key: `${result.window.size}/${result.window.start}`,
        value: JSON.stringify(result),
      }))
      await sender.send(topic, (first / COPIES_PER_SEND) % settings.topics.partialsPartitions, messages)
    }
  }
  await sender.close()
}

function daysBefore(result: Result, days: number): Result {
  const before = (time: string) => new Date(Date.parse(time) - days * 24 * HOUR_MS).toISOString()
  const window = { ...result.window, start: before(result.window.start), end: before(result.window.end) }
  return { ...result, window, time_window: `${window.start}/${window.end}` }
}

/** From the first partition that is assigned until everything in the results topic is in PostgreSQL, and committed. */
async function writeToSql(lab: Lab, pipeline: Pipeline): Promise<Results['sink']> {
  const { settings, env } = pipeline
  await copyDays(lab, pipeline)
  const postgres = await startPostgres()
  const sql = new pg.Client(postgres.url())
  const sink = { settings, env: { ...env, DATABASE_URL: postgres.url() } }
  const role = lab.role(`${settings.consumerGroup}-sink`, 'sink', sink)
  try {
    await role.line(({ event }) => event === 'assigned')
    const startedAt = performance.now()
    const records = await untilRead(lab, groupName(settings, 'sink'), topicName(settings, 'results'))
    const seconds = (performance.now() - startedAt) / 1000
    await sql.connect()
    const { rows } = await sql.query<{ rows: string }>('SELECT count(*) AS rows FROM tidemark.windows')
    return { records, rows: Number(rows[0]?.rows), seconds }
  } finally {
    await lab.endRole(role)
    await sql.end()
    await postgres.stop()
  }
}

/** From the start of the process until every partition of every level is live. */
async function restart(lab: Lab, pipeline: Pipeline): Promise<number> {
  const { settings } = pipeline
  const expected = levelsOf(settings).length * settings.topics.partialsPartitions
  const startedAt = performance.now()
  const { promise, resolve } = Promise.withResolvers<number>()
  let live = 0
  const role = lab.role(`${settings.consumerGroup}-again`, 'reduce', pipeline, ({ event }) => {
    if (event === 'live' && ++live === expected) resolve(performance.now() - startedAt)
  })
  try {
    return await Promise.race([promise, tooLate('the restarted reducer is not live')])
  } finally {
    await lab.endRole(role)
  }
}

async function tooLate(what: string): Promise<never> {
  await sleep(LIMIT_MS, undefined, { ref: false })
  throw new Error(`${what} after ${LIMIT_MS / 1000} s`)
}

async function resultsOf(lab: Lab, { settings }: Pipeline): Promise<Map<string, Result>> {
  const results = new Map<string, Result>()
  await lab.reader.readAll({
    topic: topicName(settings, 'results'),
    readCommitted: true,
    onMessage: ({ key, value }) => void results.set(String(key), JSON.parse(String(value))),
  })
  return results
}

async function resultOf(lab: Lab, pipeline: Pipeline, size: string): Promise<Result> {
  const found = [...(await resultsOf(lab, pipeline)).values()].filter(({ window }) => window.size === size)
  if (found.length !== 1) throw new Error(`${found.length} results of ${size}`)
  return found[0] as Result
}

/** How many of so many samples, each of other users, are off by more than three standard errors. */
function worstOfSeeds(seeds: number, users: number, size: number): Results['worst'] {
  let errors = 0
  for (let seed = 0; seed < seeds; seed++) {
    const sample = new UserSample(size, HOUR_MS / 2)
    for (let user = 0; user < users; user++) sample.add(`${seed}/${user}`, null, 0)
    const { distinct, relative_error } = summarize(sample, HOUR_MS).users
    errors = Math.max(errors, Math.abs(distinct / users - 1) / relative_error)
  }
  return { errors, seeds, users }
}

function resultFigures({ partials, seconds, restartMs, sink, hour, peakBytes, worst }: Results): Figure[] {
  const figure = (name: string, value: number, unit: string, target: Figure['target'], note: string): Figure => {
    return { section: 'results', name, value, unit, target, peer: null, note }
  }
  const off = Math.abs(hour.distinct / hour.expected - 1) / hour.error
  return [
    figure(
      'reducer, partials merged',
      partials / seconds,
      'partials/s',
      { least: LEAST_PARTIALS_PER_SECOND },
      `${partials} partials of ${LOGINS_PER_PARTIAL} logins from ${SOURCES} sources, and what they became for longer windows; with progress and results`,
    ),
    figure(
      'reducer restarted, to ready',
      restartMs,
      'ms',
      { most: MOST_RESTART_MS },
      'from the start of the process until all levels are live, three days of windows behind it',
    ),
    figure(
      'sink, results into PostgreSQL',
      sink.records / sink.seconds,
      'results/s',
      { least: LEAST_SQL_RESULTS_PER_SECOND },
      `${sink.records} offsets, ${sink.rows} windows at the end; from its assignment`,
    ),
    figure(
      'distinct users of an hour',
      hour.distinct,
      'users',
      null,
      `of ${hour.expected}: off by ${off.toFixed(2)} standard errors`,
    ),
    figure('the same, off by', off, 'standard errors', { most: 3 }, 'one run through the reducer'),
    figure(
      `worst of ${worst.seeds} samples`,
      worst.errors,
      'standard errors',
      { most: 3 },
      `of ${worst.users} users each`,
    ),
    figure(
      'peak memory of that reducer',
      peakBytes / MIB,
      'MiB',
      { most: MOST_MEMORY_MIB },
      `${hour.expected} users in one window`,
    ),
  ]
}
