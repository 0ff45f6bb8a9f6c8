import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dividedDuration } from '../support/dividedRules.ts'

export const ROOT = join(import.meta.dirname, '..', '..', '..')
export const RUNBOOKS = join(ROOT, 'docs', 'runbooks')

/** The text under a heading, as `## 1. A stalled partition`, up to the next of its level. @throws Error when there is none */
export function sectionOf(document: string, heading: string): string {
  const level = /^#+ /.exec(heading)?.[0] ?? ''
  const lines = document.split('\n')
  const first = lines.indexOf(heading)
  if (first < 0) throw new Error(`the document has no heading '${heading}'`)
  const next = lines.findIndex((line, index) => index > first && line.startsWith(level))
  return lines.slice(first + 1, next < 0 ? undefined : next).join('\n')
}

/** The commands of a text, in order: what stands in its fences marked `sh`, without their indentation. */
export function commandsOf(text: string): string[] {
  return [...text.matchAll(/^( *)```sh\n([\s\S]*?)^\1```$/gm)].map(([, indent = '', body = '']) =>
    body.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trim(),
  )
}

/** A command whose queries look back by as much less as the alerts do; what else it says stays. */
export function dividedCommand(command: string, divisor: number): string {
  return command.replaceAll(/\[(\d+[smhd])\]/g, (_whole, range: string) => `[${dividedDuration(range, divisor)}]`)
}

/** The line with which the runbooks' index defines a word for Kubernetes, as `q() { … }`. @throws Error when it has none */
export function wordOf(name: string): string {
  const index = readFileSync(join(RUNBOOKS, 'README.md'), 'utf8')
  const found = new RegExp(`^${name}\\(\\) .*$`, 'm').exec(index)
  if (found === null) throw new Error(`docs/runbooks/README.md defines no ${name}()`)
  return found[0]
}

/** What stands for the names that a person fills in; a command with any other is left to that person. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '<role>': 'aggregate',
  '<topic>': 'user-login',
  '<partition>': '0',
  '<broker>': '1',
  '<code>': 'invalid_timestamp',
}
/** They change something. */
const CHANGES = /\b(?:abort|alter|forceTerminateTransaction|redrive|rewind|vacuum|delete)\b/

/** The commands within a page's sentences that only look, made of the words of the index, with names filled in. */
export function looksOf(page: string): string[] {
  return [...page.matchAll(/`((?:q|sql|tm|logs|kafka|curl) [^`]+)`/g)]
    .map(([, command = '']) =>
      Object.entries(PLACEHOLDERS).reduce((text, [name, value]) => text.replaceAll(name, value), command),
    )
    .filter(command => !/<[a-z _:/-]+>/.test(command) && !CHANGES.test(command))
}
