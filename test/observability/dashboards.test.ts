import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { describe, expect, it } from 'vitest'
import { dashboardFiles } from '../../scripts/dashboards/files.ts'

/** What Grafana puts in the place of a variable, as far as the syntax goes. */
const PLACES: readonly (readonly [variable: RegExp, value: string])[] = [
  [/\$__rate_interval/g, '1m'],
  [/\$__range/g, '1h'],
  [/\$(?:namespace|job|pod|role)\b/g, '.*'],
]

const hasPromtool = spawnSync('promtool', ['--version']).status === 0

// Under CI=true a missing promtool fails.
describe.skipIf(!hasPromtool && process.env.CI !== 'true')('promtool', () => {
  it("takes every dashboard's queries for PromQL", () => {
    const { status, said, rules } = checked([...dashboardFiles().values()].flatMap(expressions))
    expect(said).toContain(`${rules} rules found`)
    expect(status, said).toBe(0)
  })

  it('would say so if one were none', () => {
    expect(checked(['sum by (rate(x)']).status).not.toBe(0)
  })
})

function expressions(text: string): string[] {
  const { panels = [] } = JSON.parse(text) as Dashboard
  const targets = panels.flatMap(panel => (panel as Panel).targets ?? []) as unknown as { readonly expr: string }[]
  return targets.map(({ expr }) => PLACES.reduce((all, [variable, value]) => all.replace(variable, value), expr))
}

/** The expressions as the recording rules of a file, each once: JSON is YAML too. */
function checked(all: readonly string[]) {
  const rules = [...new Set(all)].map((expr, index) => ({ record: `dashboard:query:${index}`, expr }))
  const folder = mkdtempSync(join(tmpdir(), 'dashboards-'))
  try {
    const file = join(folder, 'queries.yaml')
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboards', rules }] }))
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
    return { status, said: `${stdout}${stderr}`, rules: rules.length }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
