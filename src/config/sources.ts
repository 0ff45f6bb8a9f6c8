import convict from 'convict'
import { parseDocument } from 'yaml'
import { nearest } from './nearest.ts'
import { SCHEMA, SETTING_NAMES, type SettingName } from './schema.ts'

/** Reads a whole file as UTF-8; throws an error with a `code` when it cannot. */
export type ReadFile = (path: string) => string

export type Source = 'environment' | 'file' | 'default'

/** What was given for a setting, before it is looked at; `text` is null when nothing was given and it has no default. */
export type Given = { readonly text: string | null; readonly source: Source }

export type Sources = {
  readonly given: Readonly<Record<SettingName, Given>>
  /** Complaints about the file, whole sentences; with any, the settings that it holds are not known. */
  readonly complaints: readonly string[]
}

/** The texts of all settings, the environment before the file before the defaults. Never throws for what it reads. */
export function readSources(env: NodeJS.ProcessEnv, readFile: ReadFile): Sources {
  const complaints: string[] = []
  const file = env.CONFIG_FILE ? readConfigFile(env.CONFIG_FILE, readFile, complaints) : {}
  const schema = Object.fromEntries(
    SETTING_NAMES.map(name => [name, { doc: SCHEMA[name].doc, format: '*', default: SCHEMA[name].default, env: name }]),
  )
  // Without `args: []` convict would read the command line too, whose options belong to the commands.
  const config = convict<Record<string, string | null>>(schema, { env, args: [] }).load(file)
  const given = Object.fromEntries(
    SETTING_NAMES.map(name => [name, { text: config.get(name) ?? null, source: sourceOf(name, env, file) }]),
  ) as Record<SettingName, Given>
  return { given, complaints }
}

function sourceOf(name: SettingName, env: NodeJS.ProcessEnv, file: Readonly<Record<string, string>>): Source {
  if (env[name] !== undefined) return 'environment'
  return Object.hasOwn(file, name) ? 'file' : 'default'
}

function readConfigFile(path: string, readFile: ReadFile, complaints: string[]): Record<string, string> {
  const shown = `CONFIG_FILE is ${JSON.stringify(path)}`
  let content: string
  try {
    content = readFile(path)
  } catch (error) {
    complaints.push(`${shown}: it cannot be read (${reasonOf(error)})`)
    return {}
  }
  let parsed: unknown
  try {
    parsed = parseText(content)
  } catch (error) {
    complaints.push(`${shown}: it is not valid YAML or JSON (${reasonOf(error)})`)
    return {}
  }
  if (parsed === null || parsed === undefined) return {}
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    complaints.push(`${shown}: allowed is a mapping of settings, as "WINDOW_SIZE: 10s" on a line`)
    return {}
  }
  return knownTexts(parsed, complaints)
}

/**
 * JSON is YAML, so one parser reads both. The failsafe schema leaves every scalar the text that was written: a password
 * `0123` stays that, and a value means what it would mean in the environment.
 */
function parseText(content: string): unknown {
  const document = parseDocument(content, { schema: 'failsafe' })
  const problem = document.errors[0] ?? document.warnings[0]
  // Only the first line: the following ones quote the file, which may hold secrets.
  if (problem) throw new Error(problem.message.split('\n')[0]?.replace(/:$/, ''))
  return document.toJS()
}

function knownTexts(parsed: object, complaints: string[]): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [key, value] of Object.entries(parsed)) {
    const text = Array.isArray(value) && value.every(item => typeof item === 'string') ? value.join(',') : value
    if (key === 'CONFIG_FILE') {
      complaints.push('CONFIG_FILE is in the file itself: allowed is the environment only')
    } else if (!Object.hasOwn(SCHEMA, key)) {
      const guess = nearest(key, SETTING_NAMES)
      complaints.push(`${JSON.stringify(key)} in the file is no setting${guess ? `: did you mean ${guess}?` : ''}`)
    } else if (typeof text !== 'string') {
      complaints.push(
        `${key} in the file is ${Array.isArray(value) ? 'a nested list' : 'a mapping'}: allowed is one value`,
      )
    } else {
      texts[key] = text
    }
  }
  return texts
}

/** The short reason of a failure: the system's code where there is one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
