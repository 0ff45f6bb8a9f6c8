import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sourceFolder } from './catalogue.ts'
import { runGo } from './go.ts'

const DOWNLOAD_TIMEOUT_MS = 5 * 60_000

/**
 * The folder, in Go's own module cache and read-only, of a module that scripts/tools/files/go.mod pins: KEDA's, the
 * Prometheus operator's or Compose's, for the manifests and schemas that they carry. It is fetched when absent.
 *
 * @throws TidemarkError 'unreachable' when Go is missing or fails
 */
export async function ensureModule(module: string): Promise<string> {
  const said = await runGo('files', ['mod', 'download', '-json', module], DOWNLOAD_TIMEOUT_MS)
  return (JSON.parse(said) as { readonly Dir: string }).Dir
}

/** The modules that ensureModule knows. */
export function pinnedModules(): readonly string[] {
  const text = readFileSync(join(sourceFolder('files'), 'go.mod'), 'utf8')
  return [...text.matchAll(/^\s+(\S+) v\S+$/gm)].map(match => match[1] ?? '')
}

/** Fetches all of them, where they are absent. @throws TidemarkError 'unreachable' when Go is missing or fails */
export async function ensureModules(): Promise<void> {
  await runGo('files', ['mod', 'download', ...pinnedModules()], DOWNLOAD_TIMEOUT_MS)
}
