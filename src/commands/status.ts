import { setTimeout as sleep } from 'node:timers/promises'
import picocolors from 'picocolors'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, TidemarkError } from '../errors.ts'
import { type ClusterView, openClusterView } from '../kubernetes/view.ts'
import { answered, problemsOf } from '../status/judge.ts'
import { createKafkaSide, type KafkaSide } from '../status/kafkaSide.ts'
import { type Asked, mergeStatus, type Sides } from '../status/merge.ts'
import { readPods } from '../status/podSide.ts'
import { renderStatus } from '../status/render.ts'
import type { StatusReport } from '../status/report.ts'
import { readVersion } from '../version.ts'
import { windowSizeText } from '../windows/windows.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { flushed, say } from './dlq/output.ts'
import { untilSignalled } from './signals.ts'

type StatusOptions = {
  readonly json: boolean
  readonly watch: boolean
  readonly check: boolean
  readonly kubernetes: boolean
  readonly kafka: boolean
  readonly maxLag: number
  readonly kubeconfig: string | null
  readonly context: string | null
  readonly namespace: string | null
  readonly release: string | null
}

const WATCH_INTERVAL_MS = 2_000
const DEFAULT_WIDTH = 160

/** `tidemark status`: one look at a running Tidemark, from wherever its cluster or its Kafka can be reached. */
export const command: CommandFile = {
  define: status =>
    status
      .option('--json', 'one JSON object; with --watch one a line')
      .option('--watch', 'look again every 2 s, until Ctrl-C')
      .option('--check', 'exit 1 when something is wrong: lag, a partition without an owner, a gap, a pod not ready')
      .option('--max-lag <offsets>', 'what may wait in one partition; HEALTH_MAX_LAG when left out')
      .option('--namespace <name>', "the namespace to look at; the context's when left out")
      .option('--release <name>', 'the Helm release to look at; all of the namespace when left out')
      .option('--kubeconfig <file>', 'KUBECONFIG, ~/.kube/config or the service account when left out')
      .option('--context <name>', 'a context of the kubeconfig; the current one when left out')
      .option('--no-kubernetes', 'do not ask a cluster')
      .option('--no-kafka', 'do not ask Kafka; the pods tell what they know, through the cluster'),
  run: async (context, given) => {
    const settings = loadSettings(context.env, context.readFile)
    const options = parse(given, settings)
    const sides = createSides(options, settings)
    const look = async () => await lookOnce(context, settings, options, sides)
    try {
      if (options.watch) return await watch(context, options, look)
      const { report, problems } = await look()
      await show(context, options, report, problems)
      if (!answered(report)) return EXIT.refused
      return options.check && problems.length > 0 ? EXIT.failed : EXIT.done
    } finally {
      // The process ends next: connections that do not close at once are closed by that.
      void sides.close()
      await flushed(context.stdout)
    }
  },
}

function parse(given: Readonly<Record<string, unknown>>, settings: Settings): StatusOptions {
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : null)
  const maxLag = text('maxLag')
  if (maxLag !== null && !/^\d{1,12}$/.test(maxLag)) {
    throw new TidemarkError('usage', `--max-lag ${maxLag}: a whole number from 0 to 999999999999 is allowed`)
  }
  const options = {
    json: given.json === true,
    watch: given.watch === true,
    check: given.check === true,
    kubernetes: given.kubernetes !== false,
    kafka: given.kafka !== false,
    maxLag: maxLag === null ? settings.health.maxLag : Number(maxLag),
    kubeconfig: text('kubeconfig'),
    context: text('context'),
    namespace: text('namespace') ?? settings.kubernetes?.namespace ?? null,
    release: text('release'),
  }
  if (options.watch && options.check)
    throw new TidemarkError('usage', '--watch and --check: only one of them is allowed')
  if (!options.kubernetes && !options.kafka) {
    throw new TidemarkError('usage', '--no-kubernetes and --no-kafka: only one of them is allowed')
  }
  return options
}

type AskedSides = { readonly ask: () => Promise<Sides>; readonly close: () => Promise<void> }

function createSides(options: StatusOptions, settings: Settings): AskedSides {
  const kafka = options.kafka ? createKafkaSide(settings) : null
  let view: ClusterView | null = null
  const openView = async (): Promise<ClusterView | string> => {
    if (!options.kubernetes) return '--no-kubernetes'
    if (view !== null) return view
    const opened = await openClusterView(options)
    if (typeof opened !== 'string') view = opened
    return opened
  }
  return {
    ask: () => askAll(settings, openView, kafka),
    close: async () => await kafka?.close(),
  }
}

async function askAll(
  settings: Settings,
  openView: () => Promise<ClusterView | string>,
  kafkaSide: KafkaSide | null,
): Promise<Sides> {
  const opened = await openView().catch((error: unknown) => new Error(messageOf(error)))
  const askKubernetes = async (): Promise<Sides['kubernetes']> => {
    if (typeof opened === 'string') return { state: 'off', reason: opened }
    if (opened instanceof Error) return { state: 'failed', at: 'kubeconfig', reason: opened.message }
    return await asked(`namespace ${opened.namespace}`, () => opened.read())
  }
  const askKafka = async (): Promise<Sides['kafka']> => {
    if (kafkaSide === null) return { state: 'off', reason: '--no-kafka' }
    return await asked(settings.kafka.brokers.join(', '), () => kafkaSide.read())
  }
  const [kubernetes, kafka] = await Promise.all([askKubernetes(), askKafka()])
  const view = typeof opened === 'string' || opened instanceof Error ? null : opened
  return { kubernetes, kafka, pods: await askPods(view, kubernetes, kafka) }
}

async function askPods(
  view: ClusterView | null,
  kubernetes: Sides['kubernetes'],
  kafka: Sides['kafka'],
): Promise<Sides['pods']> {
  if (kafka.state === 'answered') return { state: 'off', reason: 'Kafka answers' }
  if (view === null || kubernetes.state !== 'answered')
    return { state: 'off', reason: 'there is no cluster to reach them by' }
  const { releases } = kubernetes.value
  if (releases.length > 1) {
    const reason = `releases ${releases.join(', ')} are here: choose one by --release`
    return { state: 'failed', at: kubernetes.at, reason }
  }
  return await asked(kubernetes.at, () => readPods(view, kubernetes.value))
}

async function asked<T>(at: string, ask: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { state: 'answered', at, value: await ask() }
  } catch (error) {
    return { state: 'failed', at, reason: messageOf(error) }
  }
}

/** On one line. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ')
}

type Look = { readonly report: StatusReport; readonly problems: readonly string[] }

async function lookOnce(
  context: CommandContext,
  settings: Settings,
  { maxLag }: StatusOptions,
  sides: AskedSides,
): Promise<Look> {
  const told = await sides.ask()
  const about = {
    nowMs: Date.now(),
    version: readVersion(context.readFile),
    generation: settings.generation,
    baseSize: windowSizeText(settings.windowSizeMs),
  }
  const report = mergeStatus(about, told)
  return { report, problems: problemsOf(report, maxLag) }
}

async function show(
  { stdout }: CommandContext,
  { json, watch }: StatusOptions,
  report: StatusReport,
  problems: readonly string[],
): Promise<void> {
  if (json) return await say(stdout, `${JSON.stringify({ ...report, problems }, null, watch ? 0 : 2)}\n`)
  const { isTTY, columns } = stdout as Partial<NodeJS.WriteStream>
  const colors = picocolors.createColors(isTTY === true && picocolors.isColorSupported)
  const text = renderStatus(report, problems, { colors, width: columns ?? DEFAULT_WIDTH })
  // Drawn over what was there: cleared first, it would flicker.
  const clear = watch && isTTY === true
  await say(stdout, clear ? `\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[J` : watch ? `${text}\n` : text)
}

async function watch(context: CommandContext, options: StatusOptions, look: () => Promise<Look>): Promise<number> {
  let ended = false
  const signalled = untilSignalled().then(() => {
    ended = true
  })
  if (!options.json && (context.stdout as Partial<NodeJS.WriteStream>).isTTY) context.stdout.write('\x1b[2J')
  while (!ended) {
    await Promise.race([signalled, look().then(({ report, problems }) => show(context, options, report, problems))])
    await Promise.race([signalled, sleep(WATCH_INTERVAL_MS)])
  }
  return EXIT.done
}
