import { parseArgs } from 'node:util'
import { SETTING_NAMES } from '../src/config/schema.ts'
import { SECTIONS, type Section, USUAL_SECTIONS } from './figure.ts'

export const USAGE = `npm run bench -- [--only ${SECTIONS.join('|')}]... [--all] [--quick] [--events <n>] [--json] [--write] [--profile <folder>] [--set <NAME=value>]...
  --only     these parts; by default ${USUAL_SECTIONS.join(', ')}
  --all      all parts
  --quick    shorter runs and fewer events: for a look, not for a claim
  --events   events in the topic that is drained (6,000,000; 500,000 when quick)
  --json     the last line is one JSON object; all else goes to stderr
  --write    puts the figures into docs/benchmark.md and docs/benchmark.svg; parts that were not run stay as they are there
  --profile  the drains leave CPU profiles in this folder, which slows them down a little
  --set      a setting of Tidemark other than its default, to see what it does
Exit 1 when a target is missed, 2 for wrong usage, others when the run broke off.`

export type Options = {
  readonly sections: readonly Section[]
  readonly quick: boolean
  readonly events: number
  readonly json: boolean
  readonly write: boolean
  readonly profile: string | null
  readonly settings: Readonly<Record<string, string>>
}

/** Enough that compiling, on either side, is not what is measured. */
const EVENTS = 6_000_000
const QUICK_EVENTS = 500_000

/** @throws Error that says what is wrong and what is allowed */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      all: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      events: { type: 'string' },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      profile: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
    },
  })
  const { quick, json, write, profile = null } = values
  const events = Number(values.events ?? (quick ? QUICK_EVENTS : EVENTS))
  if (!Number.isSafeInteger(events) || events < 1)
    throw new Error(`--events is ${values.events}; allowed is a whole number from 1`)
  if (write && quick) throw new Error('--write is for claims: it does not go with --quick')
  return {
    sections: sectionsOf(values.only, values.all),
    quick,
    events,
    json,
    write,
    profile,
    settings: settingsOf(values.set),
  }
}

function sectionsOf(only: readonly string[], all: boolean): readonly Section[] {
  const unknown = only.find(name => !(SECTIONS as readonly string[]).includes(name))
  if (unknown !== undefined) throw new Error(`--only is ${unknown}; allowed are ${SECTIONS.join(', ')}`)
  if (all) return SECTIONS
  return only.length === 0 ? USUAL_SECTIONS : SECTIONS.filter(section => only.includes(section))
}

function settingsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const [name = '', value] = text.split(/=(.*)/s, 2)
      if (value === undefined || !(SETTING_NAMES as readonly string[]).includes(name))
        throw new Error(`--set is ${text}; allowed is NAME=value with the name of a setting`)
      return [name, value]
    }),
  )
}
