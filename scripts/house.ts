import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { codeOf, type Import, importsOf, lineAt, type SourceFile } from './source.ts'

/** A rule broken at a place; `rule` is the whole sentence that a person needs. */
export type Violation = { readonly path: string; readonly line: number; readonly rule: string }

const PURE = ['src/events', 'src/aggregate', 'src/windows', 'src/results', 'src/tasks']
const PURE_FILES = ['src/errors.ts']
const TASKS = 'src/tasks'

/** What would let the clock, chance or the outside into code that must decide the same on every replay. */
const IMPURE: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  { pattern: /\bDate\s*\.\s*now\b/g, name: 'Date.now' },
  { pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?![\s(\w]))/g, name: 'new Date() without an argument' },
  { pattern: /(?<!\bnew\s+)(?<![.\w$])Date\s*\(/g, name: 'Date()' },
  { pattern: /\bTemporal\s*\.\s*Now\b/g, name: 'Temporal.Now' },
  { pattern: /\bMath\s*\.\s*random\b/g, name: 'Math.random' },
  // `process` is also what a task does with a batch: only the global of that name is meant.
  { pattern: /(?<![.\w$])process\s*(?:\?\.|\.|\[)/g, name: 'process' },
  {
    pattern: /(?<![.\w$])(?:performance|console|globalThis|crypto)\s*(?:\?\.|\.|\[)/g,
    name: 'a global of the outside',
  },
  {
    pattern: /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask|fetch)\s*\(/g,
    name: 'a timer or a call outside',
  },
]

/** Breaches of the house's import directions and of purity, and import cycles, among the files of src/. */
export function houseViolations(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = []
  const graph = new Map<string, Import[]>()
  for (const file of files.filter(({ path }) => path.startsWith('src/'))) {
    const code = codeOf(file.text)
    const imports = importsOf(file, code)
    graph.set(file.path, imports)
    for (const { specifier, line } of imports) {
      const rule = importRule(file.path, specifier)
      if (rule !== null) violations.push({ path: file.path, line, rule })
    }
    if (isPure(file.path)) violations.push(...impurities(file, code))
  }
  return [...violations, ...cycles(graph)]
}

/** The rule that an import breaks; null when it may stand. */
function importRule(path: string, specifier: string): string | null {
  const target = resolved(path, specifier)
  const outside = target === null
  if (outside && /^kafkajs(?:\/|$)/.test(specifier) && !isIn(path, 'src/kafka')) {
    return `imports ${specifier}: only src/kafka knows the Kafka client; the runtime and everyone else use its ports`
  }
  if (outside && specifier.startsWith('@kubernetes/client-node') && !isIn(path, 'src/kubernetes')) {
    return `imports ${specifier}: only src/kubernetes knows the cluster's client; everyone else uses its ports`
  }
  if (!isPure(path)) return null
  if (outside) return `imports ${specifier}: pure code imports no package and no node:* module`
  if (!isPure(target) && !PURE_FILES.includes(target)) {
    return `imports ${target}: pure code imports only ${PURE.join(', ')} and ${PURE_FILES.join(', ')}`
  }
  if (isIn(target, TASKS) && !isIn(path, TASKS)) {
    return `imports ${target}: events, aggregate and windows never import tasks`
  }
  return null
}

function impurities(file: SourceFile, code: string): Violation[] {
  return IMPURE.flatMap(({ pattern, name }) =>
    [...code.matchAll(pattern)].map(match => ({
      path: file.path,
      line: lineAt(code, match.index),
      rule: `uses ${name}: pure code has no clock, no randomness and no outside; time comes in as data`,
    })),
  )
}

/** One violation for each cycle found, at the import that closes it. Imports of types count: a cycle is a cycle. */
function cycles(graph: ReadonlyMap<string, readonly Import[]>): Violation[] {
  const violations: Violation[] = []
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (path: string): void => {
    trail.push(path)
    for (const { specifier, line } of graph.get(path) ?? []) {
      const target = resolved(path, specifier)
      if (target === null || !graph.has(target)) continue
      const start = trail.indexOf(target)
      if (start !== -1) {
        const circle = [...trail.slice(start), target].join(' -> ')
        violations.push({ path, line, rule: `closes an import cycle: ${circle}` })
      } else if (!done.has(target)) visit(target)
    }
    trail.pop()
    done.add(path)
  }
  for (const path of graph.keys()) if (!done.has(path)) visit(path)
  return violations
}

/** The path from the root of a relative import; null for a package or a node:* module. */
function resolved(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : null
}

function isPure(path: string): boolean {
  return PURE.some(folder => isIn(path, folder))
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`)
}

/** All TypeScript files under src/ of the project at `root`. */
export function readSources(root: string): SourceFile[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map(path => posix.join('src', path.replaceAll('\\', '/')))
    .filter(path => path.endsWith('.ts'))
    .sort()
    .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

/** As a compiler would say it: `src/tasks/x.ts:3 imports ...`. */
export function told({ path, line, rule }: Violation): string {
  return `${path}:${line} ${rule}`
}
