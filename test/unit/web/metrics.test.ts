import { expect, it } from 'vitest'
import { createServeMetrics } from '../../../src/web/metrics.ts'
import { T0 } from '../results/factory.ts'
import { aStore, someResults } from './support.ts'

it('tells how far the results of each size reach, and how far those that are final', async () => {
  const metrics = createServeMetrics('1')
  const textOf = async () => (await metrics.registry.metrics()).replaceAll(',role="serve"', '')
  const endOf = (windows: number) => (T0 + windows * 10_000) / 1_000
  metrics.observed(aStore([]), [], false)
  expect(await textOf()).not.toMatch(/^tidemark_newest_\w+\{/m)
  metrics.observed(aStore(someResults()), [], true)
  const text = await textOf()
  expect(text).toContain(`tidemark_newest_window_timestamp_seconds{size="10s"} ${endOf(12)}\n`)
  expect(text).toContain(`tidemark_newest_final_timestamp_seconds{size="10s"} ${endOf(10)}\n`)
  // The only day is provisional.
  expect(text).toContain('tidemark_newest_window_timestamp_seconds{size="1d"}')
  expect(text).not.toContain('tidemark_newest_final_timestamp_seconds{size="1d"}')
})

it('has the series of every path from the start', async () => {
  const text = await createServeMetrics('1').registry.metrics()
  expect(text).toContain('tidemark_http_requests_total{route="/api/openapi.json",status="500",role="serve"} 0')
  expect(text).toContain('tidemark_http_request_duration_seconds_count{role="serve",route="/api/openapi.json"} 0')
})
