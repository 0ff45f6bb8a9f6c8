import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasGo } from '../../../scripts/tools/go.ts'
import { ensureTool } from '../../../scripts/tools.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import type { ApiServer } from '../../support/kubernetes/apiServer.ts'
import { startServer } from '../../support/kubernetes/processes.ts'

const HOST = '127.0.0.1'
/** The kinds of objects that the rules ask about. */
const RESOURCES = 'pods,jobs,horizontalpodautoscalers'
const START_LIMIT_MS = 60_000
const POLL_MS = 100

/** Without Go there is neither an API server nor this: then the tests are left out, but not in CI. */
export const skipsCluster = process.env.CI !== 'true' && !(await hasGo())

export type KubeStateMetrics = {
  /** `host:port` to be scraped. */
  readonly address: string
  /** Ends it and removes its files. */
  stop(): Promise<void>
}

/**
 * Starts kube-state-metrics against an API server, on free loopback ports. It does not outlive this process.
 * @throws TidemarkError 'unreachable' when it can neither be found nor built
 * @throws Error with its last words when it does not come up
 */
export async function startKubeStateMetrics(api: ApiServer): Promise<KubeStateMetrics> {
  const program = await ensureTool('kube-state-metrics')
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-state-metrics-'))
  const [port, ownPort] = (await freePorts(2, HOST)) as [number, number]
  const flags = [
    `--kubeconfig=${api.kubeconfigPath}`,
    `--resources=${RESOURCES}`,
    ...[`--host=${HOST}`, `--port=${port}`],
    ...[`--telemetry-host=${HOST}`, `--telemetry-port=${ownPort}`],
  ]
  const server = startServer(program, flags, folder)
  const stop = async () => {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  const address = `${HOST}:${port}`
  const deadline = Date.now() + START_LIMIT_MS
  while (server.isRunning() && Date.now() < deadline) {
    const answer = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    if (answer?.ok) return { address, stop }
    await sleep(POLL_MS)
  }
  const lastWords = server.lastLines()
  await stop()
  throw new Error(`kube-state-metrics did not come up:\n${lastWords}`)
}
