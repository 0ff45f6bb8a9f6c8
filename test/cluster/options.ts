import { parseArgs } from 'node:util'
import type { Wish } from './target.ts'

export const PHASES = ['install', 'scale', 'upgrade', 'kills', 'drain', 'bad input', 'leave'] as const

export type Options = Wish & {
  readonly short: boolean
  readonly keep: boolean
  readonly json: boolean
  /** The images are taken as they were built by a run before. */
  readonly asBuilt: boolean
  /** Null: all of them. */
  readonly phases: readonly string[] | null
}

export const USAGE = `npm run test:cluster [-- options]    Tidemark on a real cluster, killed and moved under load, against a recount of the log
  --short            shorter loads: under 15 minutes once all is built
  --keep             leave the namespace, and a cluster that was brought up, as they are at the end
  --json             the last line is one JSON object; the timeline goes to stderr
  --phases LIST      only these, with commas between: ${PHASES.join(', ')}; the first is always install
  --as-built         the images of the run before
  --context NAME, --registry HOST, --from-packages    which cluster: as npm run cluster:up
Exit 1 when anything is not as it must be.`

/** @returns the options, or what to print and the exit code to end with */
export function parseOptions(args: readonly string[]): Options | { readonly usage: string; readonly code: number } {
  let values: ReturnType<typeof parse>
  try {
    values = parse(args)
  } catch (error) {
    return { usage: `${error instanceof Error ? error.message : String(error)}\n${USAGE}`, code: 2 }
  }
  if (values.help) return { usage: USAGE, code: 0 }
  const phases = values.phases?.split(',').map(name => name.trim()) ?? null
  const unknown = phases?.find(name => !PHASES.some(known => known === name))
  if (unknown !== undefined) return { usage: `there is no phase '${unknown}'\n${USAGE}`, code: 2 }
  const { short, keep, json, context, registry } = values
  const fromPackages = values['from-packages']
  return { short, keep, json, phases, asBuilt: values['as-built'], context, registry, fromPackages }
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      short: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      phases: { type: 'string' },
      'as-built': { type: 'boolean', default: false },
      context: { type: 'string' },
      registry: { type: 'string' },
      'from-packages': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values
}
