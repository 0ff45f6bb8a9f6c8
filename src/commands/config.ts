import { configHash } from '../config/configHash.ts'
import { settingsTable } from '../config/docs.ts'
import { type EffectiveSetting, loadEffectiveSettings } from '../config/load.ts'
import { EXIT } from '../errors.ts'
import type { CommandFile } from './command.ts'

/** `tidemark config`: the settings in force, secrets masked, or the reference of all settings. */
export const command: CommandFile = {
  define: config =>
    config
      .option('--json', 'print one JSON object: settings by name with value and source, and the config hash')
      .option('--docs', 'print the reference of all settings as a Markdown table'),
  run: async (context, options) => {
    if (options.docs === true) {
      context.stdout.write(`${settingsTable()}\n`)
      return EXIT.done
    }
    const { settings, effective } = loadEffectiveSettings(context.env, context.readFile)
    const hash = configHash(settings)
    context.stdout.write(options.json === true ? json(effective, hash) : table(effective, hash))
    return EXIT.done
  },
}

function json(effective: readonly EffectiveSetting[], hash: string): string {
  const settings = Object.fromEntries(effective.map(({ name, value, source }) => [name, { value, source }]))
  return `${JSON.stringify({ settings, config_hash: hash }, null, 2)}\n`
}

function table(effective: readonly EffectiveSetting[], hash: string): string {
  const rows = effective.map(({ name, value, source }) => [name, value ?? '-', source])
  const widths = [0, 1].map(column => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return `${lines.join('\n')}\n\nconfig hash ${hash}\n`
}
