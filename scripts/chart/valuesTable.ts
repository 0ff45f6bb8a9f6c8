import { parse } from 'yaml'

/** A documented value: where it stands, its default as it would be written, and what it means. */
export type DocumentedValue = {
  readonly path: readonly string[]
  readonly fallback: string
  readonly doc: string
}

const KEY = /^( *)([A-Za-z][A-Za-z0-9]*):/
const DOC = '# -- '
const DEFAULT = '# @default -- '

/**
 * The values whose comments begin with `# --`, in their order. Lines that follow such a comment go on with it;
 * `# @default -- text` stands for a default that is too long for a table.
 */
export function documentedValues(text: string): DocumentedValue[] {
  const values: unknown = parse(text)
  const found: DocumentedValue[] = []
  const place: { indent: number; key: string }[] = []
  let doc: string | null = null
  let shown: string | null = null
  for (const line of text.split('\n')) {
    const words = line.trim()
    if (words.startsWith(DOC)) [doc, shown] = [words.slice(DOC.length), null]
    else if (words.startsWith(DEFAULT)) shown = words.slice(DEFAULT.length)
    else if (words.startsWith('# ') && doc !== null) doc += ` ${words.slice(2)}`
    const key = KEY.exec(line)
    if (key === null) continue
    const indent = key[1]?.length ?? 0
    while ((place.at(-1)?.indent ?? -1) >= indent) place.pop()
    place.push({ indent, key: key[2] ?? '' })
    if (doc === null) continue
    const path = place.map(each => each.key)
    found.push({ path, doc, fallback: shown ?? `\`${JSON.stringify(valueAt(values, path))}\`` })
    ;[doc, shown] = [null, null]
  }
  return found
}

/** Paths of values that have no `# --` comment of their own or above them. */
export function undocumentedValues(text: string): string[] {
  const documented = new Set(documentedValues(text).map(({ path }) => path.join('.')))
  const missing: string[] = []
  const visit = (value: unknown, path: readonly string[]): void => {
    const name = path.join('.')
    if (documented.has(name)) return
    if (isMap(value) && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key])
    } else missing.push(name)
  }
  visit(parse(text), [])
  return missing
}

/** All values as Markdown tables, one for each first key. Ends without a line break. */
export function valuesTables(text: string): string {
  const groups = new Map<string, DocumentedValue[]>()
  for (const value of documentedValues(text)) {
    const group = value.path.length === 1 ? '' : (value.path[0] ?? '')
    groups.set(group, [...(groups.get(group) ?? []), value])
  }
  return [...groups]
    .map(([group, values]) => {
      const rows = values.map(
        ({ path, fallback, doc }) => `| \`${path.join('.')}\` | ${cell(fallback)} | ${cell(doc)} |`,
      )
      const title = group === '' ? 'General' : `\`${group}\``
      return [`### ${title}`, '', '| Value | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n')
    })
    .join('\n\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isMap(value) ? value[key] : undefined), values)
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
