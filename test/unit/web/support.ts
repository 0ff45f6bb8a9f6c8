import type { FastifyInstance } from 'fastify'
import type { Result } from '../../../src/results/result.ts'
import type { Pages } from '../../../src/telemetry/http.ts'
import { ResultStore, type StoreOptions } from '../../../src/web/resultStore.ts'
import { createServer, type ServerOptions } from '../../../src/web/server.ts'
import { aResult, bytesOfResult, T0 } from '../results/factory.ts'

export const SIZES_MS = [10_000, 60_000, 3_600_000, 86_400_000]

export function aStore(results: readonly Result[], over: Partial<StoreOptions> = {}): ResultStore {
  const store = new ResultStore({ tilingMs: SIZES_MS, retentionMs: new Map(), ...over })
  for (const result of results) put(store, result)
  return store
}

export function put(store: ResultStore, result: Result, key = `${result.window.size}/${result.window.start}`) {
  return store.accept(Buffer.from(key), Buffer.from(bytesOfResult(result)))
}

/** Twelve windows of 10 s, the last two of them provisional, two minutes and a day. */
export function someResults(): Result[] {
  const short = Array.from({ length: 12 }, (_, i) => {
    return aResult('10s', T0 + i * 10_000, { status: i < 10 ? 'final' : 'provisional', revision: i + 1 })
  })
  const minutes = [0, 1].map(i => aResult('1m', T0 + i * 60_000, { batch_size: 60, revision: 60 }))
  return [...short, ...minutes, aResult('1d', T0, { batch_size: 100, status: 'provisional' })]
}

const PAGES: Pages = { '/livez': () => ({ status: 200, contentType: 'application/json', body: '{}' }) }

export type Recorded = { readonly answered: string[]; readonly faults: unknown[] }

/** A server over results, ready unless said otherwise, and what it told of its requests. */
export function aServer(
  results: readonly Result[] = someResults(),
  over: Partial<ServerOptions> = {},
): { readonly app: FastifyInstance; readonly store: ResultStore; readonly recorded: Recorded } {
  const store = aStore(results)
  const recorded: Recorded = { answered: [], faults: [] }
  const app = createServer({
    context: { store, sizesMs: SIZES_MS },
    pages: PAGES,
    isReady: () => true,
    version: '1.2.3',
    onAnswered: (route, status) => void recorded.answered.push(`${route} ${status}`),
    onFault: (_route, error) => void recorded.faults.push(error),
    ...over,
  })
  return { app, store, recorded }
}
