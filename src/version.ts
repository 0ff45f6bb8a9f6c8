import { fileURLToPath } from 'node:url'
import type { ReadFile } from './config/sources.ts'

/** Tidemark's own version, as package.json has it. */
export function readVersion(readFile: ReadFile): string {
  const { version } = JSON.parse(readFile(fileURLToPath(new URL('../package.json', import.meta.url))))
  return String(version)
}
