import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../src/config/load.ts'
import { Campaign, NAMESPACE, type Phase, RELEASE } from './campaign/campaign.ts'
import { DevKafka } from './campaign/devKafka.ts'
import { Loads } from './campaign/loads.ts'
import { Log } from './campaign/log.ts'
import { badInput } from './campaign/phases/badInput.ts'
import { drain } from './campaign/phases/drain.ts'
import { install } from './campaign/phases/install.ts'
import { kills } from './campaign/phases/kills.ts'
import { leave } from './campaign/phases/leave.ts'
import { scale } from './campaign/phases/scale.ts'
import { upgrade } from './campaign/phases/upgrade.ts'
import { type PhaseResult, type Report, reportOf, reportText } from './campaign/report.ts'
import { HEADING } from './campaign/samples.ts'
import { outsideEnv } from './campaign/values.ts'
import { Workloads } from './campaign/workloads.ts'
import { type Cluster, connect } from './connect.ts'
import { buildImage, buildKafkaImage, repositoryOf } from './images.ts'
import { ensureKeda } from './keda.ts'
import { labDown } from './lab.ts'
import { type Options, parseOptions } from './options.ts'

const CHART = join(import.meta.dirname, '..', '..', 'charts', 'tidemark')
const TAGS = ['campaign-1', 'campaign-2'] as const
const PULL_LIMIT_MS = 180_000
const REMOVE_LIMIT_MS = 180_000

type CleanUp = { readonly what: string; readonly run: () => Promise<unknown> }

/** What must be undone at the end, last thing first, whatever happens. */
class Undo {
  readonly #steps: CleanUp[] = []
  #running: Promise<void> | null = null

  push(what: string, run: () => Promise<unknown>): void {
    this.#steps.push({ what, run })
  }

  run(): Promise<void> {
    this.#running ??= this.#all()
    return this.#running
  }

  async #all(): Promise<void> {
    for (const { what, run } of this.#steps.reverse()) {
      await run().catch(error => console.error(`${what}: ${error instanceof Error ? error.message : error}`))
    }
  }
}

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2))
  if ('usage' in parsed) {
    console.log(parsed.usage)
    return parsed.code
  }
  const undo = new Undo()
  const onSignal = () => void undo.run().finally(() => process.exit(130))
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const say = (text: string) => void (parsed.json ? process.stderr : process.stdout).write(`${text}\n`)
  try {
    const report = await runAll(parsed, undo, say)
    say(reportText(report))
    if (parsed.json) console.log(JSON.stringify(report))
    return report.passed ? 0 : 1
  } finally {
    await undo.run()
  }
}

async function runAll(options: Options, undo: Undo, say: (text: string) => void): Promise<Report> {
  const startedAt = performance.now()
  const cluster = await connect(process.env, options, say)
  if (cluster.started && !options.keep) undo.push('cluster:down', () => labDown(process.env, false, say))
  await ensureKeda(cluster.kube, say)
  if (!options.asBuilt) for (const tag of TAGS) await buildImage(cluster, tag, say)
  await buildKafkaImage(cluster, say)
  const { campaign, before } = await prepare(cluster, options, undo, say)
  say(HEADING)
  const phases = [install, scale, upgrade, kills, drain, badInput, leave(before)]
  // Without an installation the others have nothing to look at.
  const wanted = phases.filter(each => each === install || (options.phases?.includes(each.name) ?? true))
  const results: PhaseResult[] = []
  for (const phase of wanted) results.push(await runOne(campaign, phase, say))
  return reportOf(
    results,
    wanted.map(({ name }) => name),
    (performance.now() - startedAt) / 1000,
  )
}

async function runOne(campaign: Campaign, phase: Phase, say: (text: string) => void): Promise<PhaseResult> {
  const result = await campaign.run(phase)
  for (const complaint of result.complaints) say(`!! ${complaint}`)
  return result
}

/** An empty namespace with the dev Kafka, the images on the nodes, and the way in from here. */
async function prepare(
  cluster: Cluster,
  { keep, short }: Options,
  undo: Undo,
  say: (text: string) => void,
): Promise<{ readonly campaign: Campaign; readonly before: ReadonlySet<string> }> {
  const { kube, target } = cluster
  const removeNamespace = async () => {
    await kube.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=170s'], {
      limitMs: REMOVE_LIMIT_MS,
    })
  }
  await removeNamespace()
  await kube.kubectl(['create', 'namespace', NAMESPACE])
  if (!keep) undo.push('the namespace', removeNamespace)
  const kafka = new DevKafka(kube, NAMESPACE)
  undo.push('the way to the broker', () => kafka.end())
  await kafka.start(target)
  await pull(cluster)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-campaign-'))
  if (!keep) undo.push('temporary files', () => rm(folder, { recursive: true, force: true }))
  const env = { ...process.env, ...outsideEnv(kafka.outside) }
  const log = await Log.open(loadSettings(env, () => ''))
  undo.push('the log', () => log.close())
  const loads = new Loads(env, folder)
  undo.push('the load', () => loads.stop())
  const workloads = new Workloads(kube, NAMESPACE, RELEASE)
  const parts = { cluster, chart: CHART, kafka, log, loads, workloads, short, tags: TAGS, env, say }
  return { campaign: new Campaign(parts), before: await workloads.objects() }
}

/** Lets the nodes pull the images, so that what is measured is Tidemark and not the registry. */
async function pull({ kube, target }: Cluster): Promise<void> {
  for (const [index, tag] of TAGS.entries()) {
    const image = `${repositoryOf(target, 'tidemark')}:${tag}`
    const name = `pull-${index}`
    const args = ['-n', NAMESPACE, 'run', name, `--image=${image}`, '--restart=Never', '--', '--version']
    await kube.kubectl(args)
    const ended = ['wait', `pod/${name}`, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=170s']
    await kube.kubectl(['-n', NAMESPACE, ...ended], { limitMs: PULL_LIMIT_MS })
    await kube.kubectl(['-n', NAMESPACE, 'delete', 'pod', name])
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
// A connection that lingers must not hold up the end: all that has to be undone is.
process.exit()
