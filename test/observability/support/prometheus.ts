import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { type Server, startServer } from '../../support/kubernetes/processes.ts'
import { dividedRules } from './dividedRules.ts'

/** What is scraped, and the labels that its series get: `job` and `namespace` among them, as a Pod's would. */
export type Target = { readonly address: string; readonly labels: Readonly<Record<string, string>> }

export type Alert = {
  readonly name: string
  readonly state: 'pending' | 'firing'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

/** How Prometheus fares with a target; `lastError` is '' after a scrape that it has accepted. */
export type TargetHealth = Target & { readonly health: 'up' | 'down' | 'unknown'; readonly lastError: string }

export type Exemplar = { readonly labels: Readonly<Record<string, string>>; readonly value: number }
export type ExemplarSeries = {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: readonly Exemplar[]
}

export type PrometheusOptions = {
  /** What it scrapes from its start on; nothing by default. */
  readonly targets?: readonly Target[]
  /** By how much the times of the rules are divided; 60 by default: their minutes are seconds. */
  readonly divisor?: number
}

/** A running Prometheus with Tidemark's own rules. */
export type Prometheus = {
  readonly url: string
  /** Scrapes these and no others from now on; it takes up to 5 s until Prometheus begins. */
  scrape(targets: readonly Target[]): void
  /** The alerts that are pending or firing at this moment. */
  alerts(): Promise<Alert[]>
  /** The value of an instant query. */
  query(promql: string): Promise<Sample[]>
  targets(): Promise<TargetHealth[]>
  /** Exemplars of the last hour of the series that a selector, as `a_bucket{role="reduce"}`, names. */
  exemplars(selector: string): Promise<ExemplarSeries[]>
  /** All that it has printed so far. */
  log(): string
  /** Ends it and removes its files. */
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
const RULES = join(import.meta.dirname, '../../../charts/tidemark/rules/tidemark.yaml')
const START_LIMIT_MS = 30_000
const REQUEST_LIMIT_MS = 10_000
const POLL_MS = 100
const HOUR_MS = 3_600_000

/** Under CI=true a missing prometheus fails; elsewhere the suites that need it are skipped. */
export const skipsPrometheus = process.env.CI !== 'true' && spawnSync('prometheus', ['--version']).status !== 0

/**
 * Starts the `prometheus` on the PATH in a temporary folder: it scrapes every second, asks for OpenMetrics, keeps exemplars and
 * evaluates the chart's rules every second. It does not outlive this process.
 * @throws Error with its last words when it does not come up
 */
export async function startPrometheus({ targets = [], divisor = 60 }: PrometheusOptions = {}): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-prometheus-'))
  const [port] = (await freePorts(1, HOST)) as [number]
  writeFileSync(join(folder, 'rules.yaml'), dividedRules(readFileSync(RULES, 'utf8'), divisor))
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration(folder)))
  writeTargets(folder, targets)
  const server = startServer('prometheus', flags(folder, port), folder)
  const url = `http://${HOST}:${port}`
  const stop = async () => {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(url, server)
  } catch (error) {
    await stop()
    throw error
  }
  return { ...questions(url), url, scrape: next => writeTargets(folder, next), log: () => logOf(folder), stop }
}

function configuration(folder: string): unknown {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(folder, 'rules.yaml')],
    scrape_configs: [
      {
        job_name: 'tidemark',
        // A target that speaks of others, as kube-state-metrics does, knows their namespaces and pods better.
        honor_labels: true,
        file_sd_configs: [{ files: [join(folder, 'targets.json')] }],
      },
    ],
  }
}

function flags(folder: string, port: number): string[] {
  return [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${HOST}:${port}`,
    '--enable-feature=exemplar-storage',
  ]
}

/** At once or not at all: Prometheus watches the file and must not see half of it. */
function writeTargets(folder: string, targets: readonly Target[]): void {
  const groups = targets.map(({ address, labels }) => ({ targets: [address], labels }))
  writeFileSync(join(folder, 'targets.part'), JSON.stringify(groups))
  renameSync(join(folder, 'targets.part'), join(folder, 'targets.json'))
}

function logOf(folder: string): string {
  return readFileSync(join(folder, 'prometheus.log'), 'utf8')
}

async function untilReady(url: string, server: Server): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS
  while (Date.now() < deadline && server.isRunning()) {
    const answer = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS) }).catch(() => null)
    if (answer?.ok) return
    await sleep(POLL_MS)
  }
  const state = server.isRunning() ? `is not ready after ${START_LIMIT_MS / 1000} s` : 'has ended'
  throw new Error(`prometheus ${state}:\n${server.lastLines()}`)
}

type RawAlert = {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: Alert['state']
}
type RawTarget = {
  readonly scrapeUrl: string
  readonly labels: Readonly<Record<string, string>>
  readonly health: TargetHealth['health']
  readonly lastError: string
}
type RawSample = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }
type RawExemplars = {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[]
}

function questions(url: string): Pick<Prometheus, 'alerts' | 'query' | 'targets' | 'exemplars'> {
  const ask = <T>(path: string, parameters: Readonly<Record<string, string>> = {}) => askFor<T>(url, path, parameters)
  return {
    alerts: async () => {
      const { alerts } = await ask<{ alerts: RawAlert[] }>('alerts')
      return alerts.map(({ labels: { alertname = '', ...labels }, annotations, state }) => {
        return { name: alertname, state, labels, annotations }
      })
    },
    query: async promql => {
      const { result } = await ask<{ result: RawSample[] }>('query', { query: promql })
      return result.map(({ metric, value: [, text] }) => ({ labels: metric, value: numberOf(text) }))
    },
    targets: async () => {
      const { activeTargets } = await ask<{ activeTargets: RawTarget[] }>('targets', { state: 'active' })
      return activeTargets.map(({ scrapeUrl, labels, health, lastError }) => {
        return { address: new URL(scrapeUrl).host, labels, health, lastError }
      })
    },
    exemplars: async selector => {
      const [start, end] = [Date.now() - HOUR_MS, Date.now()].map(timeMs => String(timeMs / 1_000)) as [string, string]
      const series = await ask<RawExemplars[]>('query_exemplars', { query: selector, start, end })
      return series.map(({ seriesLabels, exemplars }) => {
        return { seriesLabels, exemplars: exemplars.map(({ labels, value }) => ({ labels, value: numberOf(value) })) }
      })
    },
  }
}

/** Prometheus writes numbers as Go does. */
function numberOf(text: string): number {
  return Number(text.replace(/^([+-]?)Inf$/, '$1Infinity'))
}

/** @throws Error with what Prometheus says is wrong with the question */
async function askFor<T>(url: string, path: string, parameters: Readonly<Record<string, string>>): Promise<T> {
  const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`, {
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  })
  const said = (await answer.json()) as { readonly status: string; readonly data: T; readonly error?: string }
  if (said.status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${said.error}`)
  return said.data
}
