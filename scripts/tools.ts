import { exitCodeOf, TidemarkError } from '../src/errors.ts'
import { pinnedVersion, TOOL_NAMES, type ToolName, toolOf } from './tools/catalogue.ts'
import { ensureTools } from './tools/ensure.ts'
import { ensureModule, pinnedModules } from './tools/modules.ts'

export { type EnsureOptions, ensureTool, ensureTools } from './tools/ensure.ts'

const USAGE = `usage: node scripts/tools.ts --all | --list | --module <name> | <tool> ...
Builds the tools that are absent and prints the folder to put on PATH; --module prints the folder of a Go module's files.`

/** `node scripts/tools.ts helm kubectl`: programs of Kubernetes from pinned Go modules, in .cache/tools. */
async function main(words: readonly string[]): Promise<void> {
  if (words[0] === '--list') {
    for (const name of TOOL_NAMES) console.log(`${name} ${toolOf(name).version}`)
    for (const module of pinnedModules()) console.log(`${module} ${pinnedVersion('files', module)}`)
    return
  }
  if (words[0] === '--module') {
    const module = words[1] ?? ''
    if (!pinnedModules().includes(module)) throw usage(`no module '${module}': one of ${pinnedModules().join(', ')}`)
    console.log(await ensureModule(module))
    return
  }
  const names = words[0] === '--all' ? TOOL_NAMES : words.map(toolName)
  if (names.length === 0) throw usage(USAGE)
  console.log(await ensureTools(names))
}

function toolName(word: string): ToolName {
  const name = TOOL_NAMES.find(known => known === word)
  if (name === undefined) throw usage(`no tool '${word}': one of ${TOOL_NAMES.join(', ')}\n${USAGE}`)
  return name
}

function usage(message: string): TidemarkError {
  return new TidemarkError('usage', message)
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof TidemarkError ? error.message : error)
    process.exitCode = exitCodeOf(error)
  }
}
