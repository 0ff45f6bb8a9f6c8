import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { skipsPrometheus } from '../support/prometheus.ts'
import { plant, type Row, rowsOf, run, type Said } from './commands.ts'
import { commandsOf, dividedCommand, looksOf, RUNBOOKS, sectionOf } from './document.ts'
import { type Lab, startLab } from './lab.ts'

/** The alerts' minutes are seconds, and so are those of the document's queries. */
const DIVISOR = 60
const START_MS = 180_000
const WAIT_MS = 90_000
const SINCE_MS = 15_000
const LANES = 4
/** Windows of the size of which the document speaks turn final soon, so that there is something to audit. */
const SETTINGS = { WINDOW_SIZE: '10s', ROLLUPS: '1m', ALLOWED_LATENESS: '2s', FLUSH_INTERVAL: '200ms' }
const TOOLS = ['bash', 'curl', 'jq', 'psql']
const missing = TOOLS.filter(tool => spawnSync(tool, ['--version']).error !== undefined)
const skips = skipsPrometheus || (missing.length > 0 && process.env.CI !== 'true')

const page = readFileSync(join(RUNBOOKS, 'three-faults.md'), 'utf8')
const sections = {
  well: '## What it looks like when all is well',
  stalled: '## 1. A stalled partition',
  poison: '## 2. A poison field',
  slow: '## 3. A slow database',
}
let lab: Lab
const plants: (() => Promise<void>)[] = []

beforeAll(async () => {
  if (!skips) lab = await startLab({ divisor: DIVISOR, rate: 100, settings: SETTINGS })
}, START_MS)
afterAll(async () => {
  await Promise.all(plants.map(end => end()))
  await lab?.stop()
})

/** The commands under a heading, so many as the test knows: one that is added has to be walked, too. */
function commands<N extends number>(section: keyof typeof sections, count: N): string[] {
  const found = commandsOf(sectionOf(page, sections[section]))
  expect(found).toHaveLength(count)
  return found.map(command => dividedCommand(command, DIVISOR))
}

/** Runs a step and shows it, since the document's excerpts are taken from here. */
async function step(command: string | undefined, variables: Readonly<Record<string, string>> = {}): Promise<Said> {
  const said = await run(lab.shellFile, command ?? '', variables)
  process.stdout.write(`\n$ ${command}\n${said.stdout}${said.stderr}`)
  return said
}

const rows = async (command: string | undefined, variables: Readonly<Record<string, string>> = {}): Promise<Row[]> =>
  rowsOf((await step(command, variables)).stdout)

function planted(command: string | undefined): () => Promise<void> {
  const end = plant(lab.shellFile, command ?? '')
  plants.push(end)
  return end
}

/** Repeats a step until it prints what is looked for, as a person does, and shows it. */
async function until<T>(command: string | undefined, see: (said: Said) => T): Promise<T> {
  const found = await vi.waitFor(async () => see(await run(lab.shellFile, command ?? '')), {
    timeout: WAIT_MS,
    interval: 500,
  })
  await step(command)
  return found
}

/** The alerts, by the document's own command, as soon as these fire. */
const untilAlerts = (command: string | undefined, ...names: readonly string[]): Promise<Row[]> =>
  until(command, ({ stdout }) => {
    const alerts = rowsOf(stdout)
    expect(namesOf(alerts)).toEqual(expect.arrayContaining([...names]))
    return alerts
  })

const untilWell = (command: string | undefined) =>
  vi.waitFor(async () => expect((await run(lab.shellFile, command ?? '')).stdout).toBe(''), {
    timeout: WAIT_MS,
    interval: 500,
  })

const namesOf = (alerts: readonly Row[]) => [...new Set(alerts.map(({ labels }) => labels.alertname))].sort()

describe.skipIf(skips)('the page of three faults leads from the signals to the cause', () => {
  test(
    'nothing is wrong: its words say so',
    async () => {
      const [keepsUp, turnsFinal, isWell] = commands('well', 3)
      await vi.waitFor(
        async () => {
          const said = await run(lab.shellFile, turnsFinal ?? '')
          expect(said.stdout).toContain('accepted')
          expect(said.stdout).toContain('"size":"10s"')
          expect((await run(lab.shellFile, `q 'ALERTS{alertstate="firing"}'`)).stdout).toBe('')
        },
        { timeout: WAIT_MS, interval: 1_000 },
      )
      expect((await step(keepsUp)).stdout).toContain('"role":"aggregate"')
      await step(turnsFinal)
      const said = await step(isWell)
      expect(said.stdout).toMatch(/"role":"sink"\} {2}[\d.]+\n[\s\S]*\nwell\n$/)
    },
    START_MS,
  )

  test(
    'and every look that another page advises is one that can be had',
    async () => {
      const pages = readdirSync(RUNBOOKS).filter(file => /^tidemark\w+\.md$/.test(file))
      const looks = pages.flatMap(file => looksOf(readFileSync(join(RUNBOOKS, file), 'utf8')))
      expect(looks.length).toBeGreaterThan(80)
      const failed: string[] = []
      const left = [...new Set(looks)]
      const lane = async () => {
        for (let look = left.pop(); look !== undefined; look = left.pop()) {
          const { code, stdout, stderr } = await run(lab.shellFile, `set -o pipefail; ${look}`)
          // grep that finds nothing says 1, and so does \`tm … --check\` of what is wrong.
          const isWrong = code === null || code > 1 || (look.startsWith('q ') && !/^(?:\{.*\n)*$/.test(stdout))
          if (isWrong || (code === 1 && !/grep|--check/.test(look))) failed.push(`${look}\n${code}: ${stdout}${stderr}`)
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      expect(failed).toEqual([])
    },
    START_MS,
  )

  test(
    'a stalled partition: an open transaction',
    async () => {
      const [cause, alert, lag, owner, log, kafka, effect, mend] = commands('stalled', 8)
      planted(cause)
      const alerts = await untilAlerts(alert, 'TidemarkPartitionStalled', 'TidemarkWatermarkStalled')
      const stalled = alerts.find(({ labels }) => labels.alertname === 'TidemarkPartitionStalled')
      const p = stalled?.labels.partition ?? ''
      expect(alerts.find(({ labels }) => labels.alertname === 'TidemarkWatermarkStalled')?.labels.source).toBe(p)

      const [most, next] = await rows(lag)
      expect(most?.labels.partition).toBe(p)
      expect(most?.value).toBeGreaterThan(5 * (next?.value ?? 0))
      const pod = most?.labels.pod ?? ''
      const owned = await step(owner, { pod })
      const moves = rowsOf(owned.stdout).filter(({ labels }) => labels.pod === pod)
      expect(moves.length).toBeGreaterThan(1)
      for (const { labels, value } of moves) expect(value > 0, labels.partition).toBe(labels.partition !== p)
      expect(owned.stdout).toContain('"brokers_answer": true')
      // What was restored when the group had just been joined is no line of that time.
      const since = new Date(Date.now() - SINCE_MS).toISOString()
      const lines = (await step(log)).stdout.split('\n').filter(line => line !== '')
      expect(lines.map(line => JSON.parse(line)).filter(({ time }) => time > since)).toEqual([])

      const { stdout } = await step(kafka)
      expect(stdout).toMatch(/planted.*Ongoing/)
      expect(stdout).toContain(`user-login-${p}`)
      await step(effect)
      const mended = await step(mend)
      expect(mended).toMatchObject({ code: 0, stdout: expect.stringMatching(/equal/) })
      await untilWell(alert)
    },
    START_MS,
  )

  test(
    'a poison field: timestamps that are words',
    async () => {
      const [cause, alert, outcomes, codes, list, show, log, totals, quality] = commands('poison', 9)
      const end = planted(cause)
      const alerts = await untilAlerts(alert, 'TidemarkManyRejections')
      expect(namesOf(alerts)).toEqual(['TidemarkManyRejections'])
      const counted = await rows(outcomes)
      const rate = new Map(counted.map(({ labels, value }) => [labels.outcome, value]))
      const pod = counted.find(({ labels }) => labels.pod !== undefined)?.labels.pod ?? ''
      expect(rate.get('rejected')).toBeGreaterThan(20)
      expect(rate.get('accepted')).toBeGreaterThan(60)
      const [code] = await rows(codes)
      expect(code?.labels).toEqual({ code: 'invalid_timestamp' })
      const listed = await step(list)
      const letter = /\b\d+\/\d+\b/.exec(listed.stdout)?.[0] ?? ''
      expect((await step(show, { letter })).stdout).toMatch(/9\.0\.0/)
      const said = await step(log, { pod })
      expect(said.stdout).toContain('"rejected_share"')
      expect(said.stdout).toContain('{"state":"exceeded"')
      expect(JSON.parse((await step(totals)).stdout)).toMatchObject({
        rejected: { invalid_timestamp: expect.any(Number) },
      })
      expect(JSON.parse((await step(quality)).stdout)).toBeDefined()
      await end()
      await untilWell(alert)
    },
    START_MS,
  )

  test(
    'a slow database: a lock that somebody else holds',
    async () => {
      const [cause, alert, flushes, up, busy, waits, old, mend] = commands('slow', 8)
      planted(cause)
      const alerts = await untilAlerts(alert, 'TidemarkSlowDatabase')
      expect(namesOf(alerts).filter(name => !name?.match(/Database|Sink/))).toEqual([])
      await until(flushes, ({ stdout }) => {
        const seconds = new Map(rowsOf(stdout).map(({ labels, value }) => [labels.role, value]))
        expect(seconds.get('sink')).toBeGreaterThan(2.5)
        expect(seconds.get('aggregate')).toBeLessThan(1)
        expect(seconds.get('reduce')).toBeLessThan(1)
      })
      expect((await rows(up)).map(({ value }) => value)).toEqual([1, 0])
      expect((await rows(busy)).every(({ value }) => value < 0.5)).toBe(true)
      // Between two of its transactions the sink waits for nothing.
      const pid = await until(waits, ({ stdout }) => {
        const holder = /Lock +\| \{(\d+)[,}].*tidemark-sink/.exec(stdout)?.[1] ?? ''
        expect(stdout).toMatch(new RegExp(`^ *${holder} .*psql`, 'm'))
        return holder
      })
      await step(old)
      expect(await step(mend, { pid })).toMatchObject({ code: 0, stdout: expect.stringMatching(/equal/) })
      await untilWell(alert)
    },
    START_MS,
  )
})
