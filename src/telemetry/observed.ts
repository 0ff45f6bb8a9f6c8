import type { Registry } from 'prom-client'
import type { Health } from './health.ts'
import { type HttpServer, jsonPage, type Pages, serveHttp } from './http.ts'
import { memoryLimit } from './memory.ts'
import { asksForOpenMetrics, OPEN_METRICS, openMetricsText } from './openMetrics.ts'

/** What a process answers about itself, whatever its role. */
export type Observed = {
  readonly health: Health
  readonly registry: Registry
  /** Takes in where the role stands at this moment; called about once a second, and before each answer. */
  readonly observe: () => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** Where readiness depends on more than health. */
  readonly readyz?: () => { readonly ok: boolean; readonly body: unknown }
  /** The worst share of rejected events; null, the default, where none are judged. */
  readonly rejectedShare?: () => number | null
}

/** Where the metrics of a process are read, by scrapes and by whoever sends them. */
export type MetricSource = Pick<Observed, 'registry' | 'observe'>

const OBSERVE_INTERVAL_MS = 1_000

/** `/livez`, `/readyz`, `/healthz` and `/metrics`. */
export function observedPages({ health, registry, observe, now, readyz, rejectedShare }: Observed): Pages {
  const after = (answer: () => { readonly ok: boolean; readonly body: unknown }) => () => {
    observe()
    return jsonPage(answer())
  }
  return {
    '/livez': after(() => health.livez(now())),
    '/readyz': after(readyz ?? (() => health.readyz([]))),
    '/healthz': after(() => {
      const memory = { usedBytes: process.memoryUsage.rss(), limitBytes: memoryLimit() }
      return health.healthz({ memory, rejectedShare: rejectedShare?.() ?? null }, now())
    }),
    '/metrics': async (accept = '') => {
      observe()
      if (asksForOpenMetrics(accept)) {
        return { status: 200, contentType: OPEN_METRICS, body: await openMetricsText(registry) }
      }
      return { status: 200, contentType: registry.contentType, body: await registry.metrics() }
    },
  }
}

/** The port of a role, and the clock that makes it look at itself. */
export class ObservedServer {
  readonly #pages: Pages
  readonly #observe: () => void
  #server: HttpServer | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(pages: Pages, observe: () => void) {
    this.#pages = pages
    this.#observe = observe
  }

  /** @throws TidemarkError `bad_setting` when the port cannot be opened; null opens none */
  async open(port: number | null): Promise<void> {
    if (port !== null) this.#server = await serveHttp(port, this.#pages)
    this.#timer = setInterval(this.#observe, OBSERVE_INTERVAL_MS).unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#server?.close()
  }
}
