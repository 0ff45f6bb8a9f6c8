import type { ClusterState, ClusterView } from '../kubernetes/view.ts'
import { isResult } from '../results/decode.ts'
import type { Result } from '../results/result.ts'
import { readings, type TaskReading } from './metricsText.ts'
import { BASE_SHOWN, type NewestResults } from './newestResults.ts'

/** What the pods tell of themselves, for when Kafka cannot be asked. */
export type PodsState = {
  /** By pod: what it reads. */
  readonly readings: readonly { readonly pod: string; readonly tasks: readonly TaskReading[] }[]
  readonly newest: NewestResults | null
  readonly notes: readonly string[]
}

const AT_ONCE = 8
const SERVICE_PORT = 'http'

/**
 * Asks the running pods for their metrics, and `serve` for the last results, all through the API server.
 * @throws Error when none of them answers
 */
export async function readPods(view: ClusterView, cluster: ClusterState): Promise<PodsState> {
  const notes: string[] = []
  const asked = cluster.pods.filter(
    ({ component, phase }) => phase === 'Running' && (component === 'aggregate' || component === 'reduce'),
  )
  const found: { pod: string; tasks: readonly TaskReading[] }[] = []
  const waiting = [...asked]
  const work = async () => {
    for (let pod = waiting.shift(); pod !== undefined; pod = waiting.shift()) {
      try {
        const port = cluster.ports.get(pod.name) as number
        found.push({ pod: pod.name, tasks: readings(await view.page('pods', pod.name, port, 'metrics')) })
      } catch (error) {
        notes.push(`metrics of ${pod.name}: ${messageOf(error)}`)
      }
    }
  }
  const [newest] = await Promise.all([
    newestOfServe(view, cluster.services, notes),
    ...Array.from({ length: AT_ONCE }, work),
  ])
  if (found.length === 0 && newest === null) {
    throw new Error(asked.length === 0 ? 'neither an aggregator, nor a reducer, nor serve runs here' : notes.join('; '))
  }
  found.sort((a, b) => (a.pod < b.pod ? -1 : 1))
  return { readings: found, newest, notes }
}

async function newestOfServe(
  view: ClusterView,
  services: readonly string[],
  notes: string[],
): Promise<NewestResults | null> {
  const [service] = services
  if (service === undefined) {
    notes.push('last results: there is no Service of serve')
    return null
  }
  const get = async (path: string) => JSON.parse(await view.page('services', service, SERVICE_PORT, path))
  try {
    const { sizes } = (await get('api/sizes')) as { sizes: { size: string; last_final: string | null }[] }
    const finals = sizes
      .filter(({ last_final }) => last_final !== null)
      .map(({ size }) => get(`api/windows?size=${size}&limit=1&status=final,corrected`))
    const [base, ...lists] = await Promise.all([get(`api/windows?limit=${BASE_SHOWN}`), ...finals])
    return { base: resultsOf(base), finals: lists.flatMap(resultsOf) }
  } catch (error) {
    notes.push(`last results of ${service}: ${messageOf(error)}`)
    return null
  }
}

function resultsOf({ windows }: { readonly windows?: unknown }): Result[] {
  return Array.isArray(windows) ? windows.filter(isResult) : []
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
