import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'

/** What no program reads at run time. Licences stay, whatever they are called. */
const FILES = /\.(?:map|d\.[cm]?ts|[cm]?ts|flow|md|markdown|tsbuildinfo)$/i
const KEPT = /^(?:licen[cs]e|copying|notice)/i
/** Taken away only beside a package's own package.json: deeper down such a name may mean anything. */
const FOLDERS = new Set(['test', 'tests', '__tests__', 'docs', 'doc', 'example', 'examples', 'benchmark', 'benchmarks'])
/** Whole packages of types, and of two packages what we do not use: their paths from node_modules. */
const UNUSED: readonly RegExp[] = [
  /^(?:.*\/)?@types$/,
  // PostgreSQL's extensions, which are loaded only when asked for, and the twins for require().
  /^@electric-sql\/pglite\/dist\/.*\.(?:tar\.gz|cjs)$/,
  // The country database with both kinds of addresses is the one that is read.
  /^@ip-location-db\/.*-ipv[46]\.mmdb$/,
]

/** `node scripts/prune.ts <node_modules>`: takes away what production never reads, and tells how much that was. */
function main(): number {
  const root = process.argv[2]
  if (root === undefined) {
    console.error('usage: node scripts/prune.ts <node_modules>')
    return 2
  }
  const before = sizeOf(root)
  prune(root, root)
  console.log(`${root}: ${megabytes(before)} MB, pruned to ${megabytes(sizeOf(root))} MB`)
  return 0
}

function prune(root: string, folder: string): void {
  const entries = readdirSync(folder, { withFileTypes: true })
  const spared = entries.some(({ name }) => name === 'package.json') ? entryFolders(folder) : null
  for (const entry of entries) {
    const path = join(folder, entry.name)
    const drop =
      UNUSED.some(pattern => pattern.test(relative(root, path))) ||
      (entry.isDirectory()
        ? spared !== null && FOLDERS.has(entry.name) && !spared.has(entry.name)
        : FILES.test(entry.name) && !KEPT.test(entry.name))
    if (drop) rmSync(path, { recursive: true })
    else if (entry.isDirectory()) prune(root, path)
  }
}

/** The folders that a package.json names as places of its code: `main` or `exports` may well point into `docs`. */
function entryFolders(folder: string): Set<string> {
  const { main, module, exports, imports, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const text = JSON.stringify([main, module, exports, imports, bin])
  return new Set([...text.matchAll(/"(?:\.\/)?([^"/]+)\//g)].map(match => match[1] ?? ''))
}

function sizeOf(path: string): number {
  const status = lstatSync(path)
  if (!status.isDirectory()) return status.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

process.exitCode = main()
