import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS, type MetricSpec, PREFIX } from '../../src/telemetry/catalogue.ts'

type Rule = {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
type Case = {
  readonly name: string
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[]
}

const ROOT = process.cwd()
const RULES = join(ROOT, 'charts/tidemark/rules')
const CASES = join(ROOT, 'test/observability/rules')
const RUNBOOKS = join(ROOT, 'docs/runbooks')
const SECTIONS = ['What it means', 'What to look at', 'What to do', 'What it is not']
/** It evaluates every rule for each minute of each case: some seconds on a busy machine. */
const PROMTOOL_LIMIT_MS = 60_000
/** Not Tidemark's own: those of kube-state-metrics. */
const FOREIGN = /\bkube_[a-z_]+/g

const ruleFiles = filesOf(RULES, '.yaml')
const caseFiles = filesOf(CASES, '.test.yaml')
const rules = ruleFiles.flatMap(file =>
  (parse(readFileSync(file, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(group => group.rules),
)
const cases = caseFiles.flatMap(file => (parse(readFileSync(file, 'utf8')) as { tests: Case[] }).tests)
const hasPromtool = spawnSync('promtool', ['--version']).status === 0

// Under CI=true a missing promtool fails; elsewhere those who have none still get the other half.
describe.skipIf(!hasPromtool && process.env.CI !== 'true')('promtool', () => {
  it('accepts the rules', { timeout: PROMTOOL_LIMIT_MS }, () => {
    expect(promtool('check', 'rules', ...ruleFiles)).toMatchObject({ status: 0 })
  })

  const named = caseFiles.map(file => [file.slice(CASES.length + 1), file] as const)
  it.each(named)('%s', { timeout: PROMTOOL_LIMIT_MS }, (_name, file) => {
    expect(promtool('test', 'rules', file)).toMatchObject({ status: 0 })
  })
})

it('a case is named by its alert, and does what its name says', () => {
  const names = new Set(rules.map(rule => rule.alert))
  for (const { name, alert_rule_test: checks } of cases) {
    const [, alert = '', kind] = /^(\w+) (fires|silent): ./.exec(name) ?? []
    expect(names, name).toContain(alert)
    expect(new Set(checks.map(check => check.alertname)), name).toEqual(new Set([alert]))
    const fires = checks.map(check => check.exp_alerts.length > 0)
    expect(kind === 'fires' ? fires.includes(true) : !fires.includes(true), name).toBe(true)
  }
})

describe.each(rules)('$alert', rule => {
  it('has a case in which it fires, and one in which it is silent', () => {
    for (const kind of ['fires', 'silent']) {
      expect(cases.filter(({ name }) => name.startsWith(`${rule.alert} ${kind}: `)).length, kind).toBeGreaterThan(0)
    }
  })

  it('says how bad it is, since when, and what has happened', () => {
    expect(rule.for).toMatch(/^\d+m$/)
    expect(['critical', 'warning']).toContain(rule.labels?.severity)
    expect(rule.annotations?.summary).toMatch(/^\S.{10,100}$/)
    expect(rule.annotations?.description).toMatch(/[.;:] |\.$/)
  })

  it('has a page that a person finds, in the same order as all', () => {
    const page = readFileSync(join(RUNBOOKS, `${rule.alert.toLowerCase()}.md`), 'utf8')
    expect(page.split('\n')[0]).toBe(`# ${rule.alert}`)
    expect(page).toContain(`Severity: ${rule.labels?.severity}`)
    expect([...page.matchAll(/^## (.+)$/gm)].map(([, title]) => title)).toEqual(SECTIONS)
  })

  it('asks only for metrics and labels that there are', () => {
    const own = rule.expr.replaceAll(FOREIGN, 'foreign')
    for (const [, name = '', matchers = ''] of own.matchAll(/tidemark_(\w+)(?:\{([^}]*)\})?/g)) {
      const spec = specOf(name)
      expect(spec, name).toBeDefined()
      const labels = [...matchers.matchAll(/(\w+)(?:=~?|!=|!~)"/g)].map(([, label = '']) => label)
      expect(['role', ...(spec?.labels ?? []), ...(spec?.type === 'histogram' ? ['le'] : [])]).toEqual(
        expect.arrayContaining(labels),
      )
    }
  })
})

it('the index of the runbooks leads to each page, and each page belongs to an alert', () => {
  const index = readFileSync(join(RUNBOOKS, 'README.md'), 'utf8')
  const alerts = rules.map(rule => rule.alert)
  // The chart's runbook_url is <runbookUrl>#<name in lower case>: the headings are its anchors.
  expect([...index.matchAll(/^### (\w+)$/gm)].map(([, name]) => name)).toEqual(alerts)
  for (const alert of alerts) expect(index).toContain(`(${alert.toLowerCase()}.md)`)
  const pages = filesOf(RUNBOOKS, '.md').map(file => file.slice(RUNBOOKS.length + 1))
  const known = ['README.md', 'three-faults.md', ...alerts.map(alert => `${alert.toLowerCase()}.md`)]
  expect(pages.sort()).toEqual(known.sort())
})

it('the runbooks ask only for metrics that there are', () => {
  for (const file of filesOf(RUNBOOKS, '.md')) {
    const text = readFileSync(file, 'utf8')
    for (const [whole, name = ''] of text.matchAll(new RegExp(`\\b${PREFIX}(\\w+)`, 'g'))) {
      expect(specOf(name), `${file}: ${whole}`).toBeDefined()
    }
  }
})

/** The metric of which `name` is a series: a histogram has three. */
function specOf(name: string): MetricSpec | undefined {
  const known: Readonly<Record<string, MetricSpec>> = METRICS
  const base = name.replace(/_(?:bucket|sum|count)$/, '')
  return known[name] ?? (known[base]?.type === 'histogram' ? known[base] : undefined)
}

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter(file => file.endsWith(ending))
    .map(file => join(folder, file))
}

/** What promtool says is in the answer, so that a failed expectation shows it. */
function promtool(...args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', timeout: PROMTOOL_LIMIT_MS })
  return { status, said: `${stdout}${stderr}` }
}
