import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exitCodeOf, TidemarkError } from '../src/errors.ts'
import { hasHelm, renderChart } from './chart/helm.ts'
import { baseFiles, OVERLAYS, overlayFiles } from './chart/manifests.ts'
import { configSchema } from './chart/settingsSchema.ts'
import { undocumentedValues, valuesTables } from './chart/valuesTable.ts'
import { DASHBOARDS_FOLDER, dashboardFiles } from './dashboards/files.ts'
import { ensureTool } from './tools.ts'

const CHART = 'charts/tidemark'
/** Folders that hold nothing but generated files. */
const GENERATED_FOLDERS = ['k8s/base', 'k8s/overlays', DASHBOARDS_FOLDER]

/**
 * Files of the chart and of k8s/ that are not what the code, the values and the chart make of them, by their paths from
 * `root`; those that should not be there too.
 * @throws TidemarkError `unreachable` when there is no Helm, saying how to get it
 */
export function staleChartFiles(root: string): string[] {
  const wanted = chartFiles(root)
  const differing = [...wanted].filter(([path, text]) => textOf(root, path) !== text).map(([path]) => path)
  return [...differing, ...extraFiles(root, wanted)].sort()
}

/** Writes them anew, takes away those that should not be there, and returns the paths of both. */
export function rewriteChartFiles(root: string): string[] {
  // What is rendered depends on the chart's own files: these are written first.
  const changed = [...writeChanged(root, ownFiles(root)), ...writeChanged(root, renderedFiles(root))]
  for (const path of extraFiles(root, chartFiles(root))) {
    rmSync(join(root, path))
    changed.push(path)
  }
  return changed.sort()
}

function writeChanged(root: string, wanted: ReadonlyMap<string, string>): string[] {
  const changed = [...wanted].filter(([path, text]) => textOf(root, path) !== text)
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return changed.map(([path]) => path)
}

function chartFiles(root: string): Map<string, string> {
  return new Map([...ownFiles(root), ...renderedFiles(root)])
}

/** The chart's own files of which a part is generated. */
function ownFiles(root: string): Map<string, string> {
  const values = read(root, `${CHART}/values.yaml`)
  const missing = undocumentedValues(values)
  if (missing.length > 0) {
    throw new TidemarkError(
      'usage',
      `${CHART}/values.yaml: no '# --' comment says what these mean: ${missing.join(', ')}`,
    )
  }
  const readme = `${CHART}/README.md`
  return new Map([
    [`${CHART}/Chart.yaml`, versioned(root, read(root, `${CHART}/Chart.yaml`))],
    [`${CHART}/values.schema.json`, schemaOf(root)],
    [readme, withTables(read(root, readme), valuesTables(values))],
    ...[...dashboardFiles()].map(([path, text]) => [path, formatted(root, path, text)] as const),
  ])
}

function renderedFiles(root: string): Map<string, string> {
  const base = renderChart(root, null)
  const overlays = OVERLAYS.flatMap(overlay => [...overlayFiles(overlay, base, renderChart(root, overlay.valuesFile))])
  return new Map([...baseFiles(base), ...overlays])
}

const TABLES = /(?<=<!-- values:start -->\n).*(?=<!-- values:end -->)/s

/** @throws TidemarkError `usage` when the README has no place for them */
function withTables(readme: string, tables: string): string {
  if (TABLES.test(readme)) return readme.replace(TABLES, () => `\n${tables}\n\n`)
  throw new TidemarkError('usage', `${CHART}/README.md must hold <!-- values:start --> and <!-- values:end -->`)
}

/** The chart goes with one version of the program, and has its number. */
function versioned(root: string, chart: string): string {
  const { version } = JSON.parse(read(root, 'package.json')) as { version: string }
  return chart.replace(/^version: .*$/m, `version: ${version}`).replace(/^appVersion: .*$/m, `appVersion: ${version}`)
}

function schemaOf(root: string): string {
  const path = `${CHART}/values.schema.json`
  const schema = JSON.parse(read(root, path)) as { properties: Record<string, unknown> }
  schema.properties.config = configSchema()
  return formatted(root, path, `${JSON.stringify(schema, null, 2)}\n`)
}

/** As the linter wants it, which looks at this file too. */
function formatted(root: string, path: string, text: string): string {
  const biome = join(root, 'node_modules', '.bin', 'biome')
  const done = spawnSync(biome, ['format', `--stdin-file-path=${path}`], { cwd: root, input: text, encoding: 'utf8' })
  if (done.status === 0) return done.stdout
  throw new TidemarkError('usage', `biome cannot format ${path}: ${done.error?.message ?? done.stderr}`)
}

function extraFiles(root: string, wanted: ReadonlyMap<string, string>): string[] {
  return GENERATED_FOLDERS.filter(folder => existsSync(join(root, folder)))
    .flatMap(folder => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter(path => !wanted.has(path))
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function textOf(root: string, path: string): string | null {
  return existsSync(join(root, path)) ? read(root, path) : null
}

/** `node scripts/chart.ts` rewrites what is generated, `--check` tells what is out of date: exit 1 when anything is. */
async function main(words: readonly string[]): Promise<number> {
  const root = join(import.meta.dirname, '..')
  // Built from its Go modules when there is none at all.
  if (!hasHelm(root)) await ensureTool('helm')
  if (words.length === 1 && words[0] === '--check') {
    const stale = staleChartFiles(root)
    for (const path of stale) console.error(`${path} is out of date: node scripts/chart.ts rewrites it`)
    if (stale.length === 0) console.log('the chart and k8s/ are up to date')
    return stale.length === 0 ? 0 : 1
  }
  if (words.length > 0) throw new TidemarkError('usage', 'usage: node scripts/chart.ts [--check]')
  const changed = rewriteChartFiles(root)
  console.log(changed.length > 0 ? `rewrote ${changed.join(', ')}` : 'the chart and k8s/ were up to date')
  return 0
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof TidemarkError ? error.message : error)
    process.exitCode = exitCodeOf(error)
  }
}
