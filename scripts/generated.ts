import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsTable } from '../src/config/docs.ts'
import { deviceTypeTable } from '../src/events/deviceType.ts'
import { codeTable, eventTable } from '../src/events/fields.ts'
import { metricsTable } from '../src/telemetry/catalogue.ts'
import { renderMutationTable } from '../test/simulation/mutations.ts'

/** A part of a file between `<!-- name:start -->` and `<!-- name:end -->` that is made from the code. */
export type Section = { readonly file: string; readonly name: string; readonly content: () => string }

/** Every generated section: `npm run docs` rewrites them, `npm run check` fails when one is out of date. */
export const SECTIONS: readonly Section[] = [
  { file: 'README.md', name: 'event', content: eventTable },
  { file: 'README.md', name: 'devices', content: deviceTypeTable },
  { file: 'README.md', name: 'codes', content: codeTable },
  { file: 'README.md', name: 'config', content: settingsTable },
  { file: 'README.md', name: 'metrics', content: metricsTable },
  { file: 'ARCHITECTURE.md', name: 'mutations', content: renderMutationTable },
]

/**
 * The text with the section's content put between its markers.
 * @throws Error when the markers are not there exactly once each, in order
 */
export function withSection(text: string, { file, name, content }: Section): string {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`]
  const parts = text.split(start)
  const rest = parts[1]?.split(end)
  if (parts.length !== 2 || rest?.length !== 2) throw new Error(`${file} must hold ${start} and ${end} once, in order`)
  return `${parts[0]}${start}\n${content()}\n${end}${rest[1]}`
}

/** Files whose sections are out of date. */
export function staleFiles(root: string, sections: readonly Section[] = SECTIONS): string[] {
  return [...fresh(root, sections)]
    .filter(([file, text]) => readFileSync(join(root, file), 'utf8') !== text)
    .map(([file]) => file)
}

/** Rewrites what is out of date and returns the files that changed. */
export function rewriteStale(root: string, sections: readonly Section[] = SECTIONS): string[] {
  const texts = fresh(root, sections)
  const stale = staleFiles(root, sections)
  for (const file of stale) writeFileSync(join(root, file), texts.get(file) ?? '')
  return stale
}

function fresh(root: string, sections: readonly Section[]): Map<string, string> {
  const texts = new Map<string, string>()
  for (const section of sections) {
    const text = texts.get(section.file) ?? readFileSync(join(root, section.file), 'utf8')
    texts.set(section.file, withSection(text, section))
  }
  return texts
}
