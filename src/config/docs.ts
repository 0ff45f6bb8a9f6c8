import { SCHEMA, SETTING_NAMES } from './schema.ts'

/** The reference of all settings as a Markdown table, made from the schema. Ends without a line break. */
export function settingsTable(): string {
  const rows = SETTING_NAMES.map(name => {
    const spec = SCHEMA[name]
    const fallback = spec.default === null ? '' : `\`${spec.default}\``
    const doc = spec.secret ? `${spec.doc} A secret: never printed.` : spec.doc
    return `| \`${name}\` | ${fallback} | ${cell(spec.kind.allowed)} | ${cell(doc)} |`
  })
  return ['| Setting | Default | Allowed | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
