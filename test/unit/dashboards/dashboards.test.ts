import { readdirSync, readFileSync } from 'node:fs'
import type { Dashboard, DashboardLink, Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { dashboardFiles } from '../../../scripts/dashboards/files.ts'
import { UIDS } from '../../../scripts/dashboards/links.ts'
import { knownSeries } from './known.ts'
import { readPromql } from './promql.ts'

type Target = { readonly expr: string; readonly legendFormat?: string; readonly instant?: boolean }
type Shown = { readonly where: string; readonly panel: Panel; readonly targets: readonly Target[] }

const RULES = 'charts/tidemark/rules'
const GRID_COLUMNS = 24

const dashboards = [...dashboardFiles()].map(([path, text]) => ({ path, dashboard: JSON.parse(text) as Dashboard }))
const shown: Shown[] = dashboards.flatMap(({ dashboard }) =>
  panelsOf(dashboard).map(panel => ({
    where: `${dashboard.uid}: ${panel.title}`,
    panel,
    targets: (panel.targets ?? []) as unknown as Target[],
  })),
)
const known = knownSeries()

it('there are four, each with its own file and its own address', () => {
  const uids = dashboards.map(({ dashboard }) => dashboard.uid ?? '')
  expect(uids.toSorted()).toEqual(Object.values(UIDS).toSorted())
  for (const { path, dashboard } of dashboards) {
    expect(dashboard.uid).toBe(`tidemark-${path.replace(/^.*\/|\.json$/g, '')}`)
    expect(dashboard.title).toMatch(/^Tidemark: /)
  }
})

describe('every query', () => {
  it.each(shown)('$where', ({ targets }) => {
    expect(targets.length).toBeGreaterThan(0)
    for (const { expr, legendFormat = '' } of targets) {
      const { series, groupings } = readPromql(expr)
      expect(series.length, expr).toBeGreaterThan(0)
      for (const { name, labels } of series) {
        expect([...known.keys()], expr).toContain(name)
        expect([...known.get(name)!], expr).toEqual(expect.arrayContaining([...labels]))
      }
      const all = new Set(series.flatMap(({ name }) => [...known.get(name)!]))
      const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label)
      for (const label of [...groupings, ...legend]) expect([...all], `${label} of ${expr}`).toContain(label)
    }
  })

  it('asks only for the pipeline that is chosen', () => {
    for (const { where, targets } of shown) {
      for (const { expr } of targets) {
        for (const { name, labels } of readPromql(expr).series) {
          expect(labels, where).toEqual(
            expect.arrayContaining(name.startsWith('kube_') ? ['namespace'] : ['namespace', 'job']),
          )
        }
      }
    }
  })

  it('names only variables that its dashboard has', () => {
    for (const { path, dashboard } of dashboards) {
      const has = new Set((dashboard.templating?.list ?? []).map(({ name }) => name))
      expect([...has]).toEqual(expect.arrayContaining(['datasource', 'namespace', 'job', 'runbooks']))
      const text = JSON.stringify(dashboard)
      const named = [...text.matchAll(/\$\{?(\w+)/g)]
        .map(([, name = '']) => name)
        .filter(name => !name.startsWith('__'))
      for (const name of named) expect(has, `${path}: $${name}`).toContain(name)
    }
  })
})

describe('every panel', () => {
  it.each(shown)('$where', ({ panel }) => {
    expect(panel.description).toMatch(/^.{30,}\.$/s)
    expect(panel.datasource).toEqual({ type: 'prometheus', uid: `\${datasource}` })
    const { unit, thresholds } = panel.fieldConfig?.defaults ?? {}
    expect(unit).toBeTruthy()
    const [base, ...above] = (thresholds?.steps ?? [{ value: null }]).map(({ value }) => value)
    expect(base).toBeNull()
    expect(above).toEqual(above.toSorted((a, b) => a! - b!))
  })

  it('has a number of its own, and a place that no other has', () => {
    for (const { path, dashboard } of dashboards) {
      const all = dashboard.panels ?? []
      expect(new Set(all.map(({ id }) => id)).size, path).toBe(all.length)
      const cells = all.flatMap(({ gridPos }) => {
        const { x, y, w, h } = gridPos!
        expect(x + w, path).toBeLessThanOrEqual(GRID_COLUMNS)
        return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)}/${y + Math.floor(cell / w)}`)
      })
      expect(new Set(cells).size, path).toBe(cells.length)
      // Lines that are not filled look as if something were missing.
      expect(cells.length % GRID_COLUMNS, path).toBe(0)
    }
  })
})

describe('links', () => {
  const links = shown.flatMap(({ where, panel }) => linksOf(panel).map(({ url = '' }) => ({ where, url })))

  it('lead to dashboards that there are', () => {
    const uids = new Set<string>(Object.values(UIDS))
    const between = links.filter(({ url }) => url.startsWith('/d/'))
    expect(between.length).toBeGreaterThan(0)
    for (const { where, url } of between) expect(uids, where).toContain(/^\/d\/([\w-]+)\?/.exec(url)?.[1])
    for (const { dashboard } of dashboards) {
      expect(dashboard.links).toMatchObject([
        { type: 'dashboards', tags: dashboard.tags, includeVars: true, keepTime: true },
      ])
    }
  })

  it('lead to the runbook of every alert, and to no other', () => {
    const linked = links
      .map(({ url }) => /^\$\{runbooks:raw\}#(\w+)$/.exec(url)?.[1])
      .filter(name => name !== undefined)
    expect([...new Set(linked)].toSorted()).toEqual(alertNames().toSorted())
  })
})

describe('what the test reads of PromQL', () => {
  it('series, their labels, and what is grouped by', () => {
    const read = readPromql(
      'sum by (role, le) (rate(a_bucket{x="1",y=~"b|c"}[5m])) / ignoring (le) group_left () b > 0.5',
    )
    expect(read.series).toEqual([
      { name: 'a_bucket', labels: ['x', 'y'] },
      { name: 'b', labels: [] },
    ])
    expect(read.groupings).toEqual(['role', 'le', 'le'])
  })

  it.each(['sum(a', 'a{b}', 'a{b="c"', 'summ(a)', 'a)', 'a ; b', 'a{b=c}'])('refuses %s', expr => {
    expect(() => readPromql(expr)).toThrow()
  })
})

function panelsOf(dashboard: Dashboard): Panel[] {
  return (dashboard.panels ?? []).filter((panel): panel is Panel => panel.type !== 'row')
}

function linksOf({ links = [] }: Panel): readonly DashboardLink[] {
  return links
}

/** As the runbooks' headings are found: in lower case. */
function alertNames(): string[] {
  const files = readdirSync(RULES).filter(file => file.endsWith('.yaml'))
  const groups = files.flatMap(file => parse(readFileSync(`${RULES}/${file}`, 'utf8')).groups)
  return groups.flatMap(({ rules }) => rules.map(({ alert }: { alert: string }) => alert.toLowerCase()))
}
