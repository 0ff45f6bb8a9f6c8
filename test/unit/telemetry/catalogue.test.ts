import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { METRICS, type MetricSpec, PREFIX, ROLES, type Role } from '../../../src/telemetry/catalogue.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { createSinkMetrics } from '../../../src/telemetry/sinkMetrics.ts'
import { createServeMetrics } from '../../../src/web/metrics.ts'

const RULES = join(import.meta.dirname, '..', '..', '..', 'charts', 'tidemark', 'rules')
const entries = Object.entries<MetricSpec>(METRICS)

const registries: Readonly<Record<Role, () => Registry>> = {
  aggregate: () => createMetrics('aggregate', '1').registry,
  reduce: () => createMetrics('reduce', '1').registry,
  sink: () => createSinkMetrics('1').registry,
  serve: () => createServeMetrics('1').registry,
}

describe('the catalogue', () => {
  it.each(ROLES)('is what %s tells: no more and no less', async role => {
    const told = (await registries[role]().getMetricsAsJSON()).filter(({ name }) => name.startsWith(PREFIX))
    const wanted = entries.filter(([, { roles }]) => roles.includes(role))
    expect(told.map(({ name }) => name).sort()).toEqual(wanted.map(([name]) => PREFIX + name).sort())
    for (const { name, type, help } of told) {
      const spec = wanted.find(([each]) => PREFIX + each === name)?.[1]
      expect({ name, type: String(type), help }).toEqual({ name, type: spec?.type, help: spec?.help })
    }
  })

  it.each(entries)('%s is named by its type and unit', (name, { type, help, buckets }) => {
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(buckets === undefined).toBe(type !== 'histogram')
    if (type === 'histogram') expect(name).toMatch(/_seconds$/)
    expect(help).toMatch(/^[A-Z1].*\.$/)
  })
})

it('alerts ask for metrics that exist', () => {
  const text = readdirSync(RULES)
    .map(file => readFileSync(join(RULES, file), 'utf8'))
    .join('\n')
  const asked = [...text.matchAll(/\btidemark_([a-z_]+)/g)].map(([, name = '']) =>
    name.replace(/_(bucket|sum|count)$/, ''),
  )
  expect(asked.length).toBeGreaterThan(5)
  expect([...new Set(asked)].filter(name => !(name in METRICS))).toEqual([])
})
