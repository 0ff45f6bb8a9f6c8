#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { Command, CommanderError } from 'commander'
import type { CommandContext, CommandFile } from './commands/command.ts'
import { type ErrorCode, EXIT, exitCodeOf, TidemarkError } from './errors.ts'
import { readVersion } from './version.ts'

type Listed = { readonly summary: string; readonly load: () => Promise<{ readonly command: CommandFile }> }

/** Every command. A file is loaded only when its command is used, so that `config` starts without a Kafka client. */
const COMMANDS: Readonly<Record<string, Listed>> = {
  aggregate: {
    summary: 'read login events and tell what each partition adds up to (role)',
    load: () => import('./commands/aggregate.ts'),
  },
  reduce: {
    summary: 'merge what the aggregators tell into results (role)',
    load: () => import('./commands/reduce.ts'),
  },
  serve: {
    summary: 'answer questions about the results over HTTP, in JSON and CSV (role)',
    load: () => import('./commands/serve.ts'),
  },
  sink: {
    summary: 'write the results into PostgreSQL, or into a database inside the process (role)',
    load: () => import('./commands/sink.ts'),
  },
  topics: {
    summary: 'create and verify the topics; `rewind` begins a new generation, `remove` ends an old one',
    load: () => import('./commands/topics.ts'),
  },
  status: {
    summary: 'show pods, scaling, lag and clock by partition, owners and the last results',
    load: () => import('./commands/status.ts'),
  },
  probe: {
    summary: 'send one event into the running system and wait until a result vouches for it',
    load: () => import('./commands/probe.ts'),
  },
  dlq: {
    summary: 'list, show, count and redrive dead letters',
    load: () => import('./commands/dlq.ts'),
  },
  audit: {
    summary: 'count windows again from the source topic and compare every number with the stored results',
    load: () => import('./commands/audit.ts'),
  },
  generate: {
    summary: 'write synthetic logins into the source topic, with a ledger of what was acknowledged',
    load: () => import('./commands/generate.ts'),
  },
  demo: {
    summary: 'run everything on a real broker, kill and add aggregators, and check every number',
    load: () => import('./commands/demo.ts'),
  },
  config: {
    summary: 'print the settings in force, or the reference of all settings',
    load: () => import('./commands/config.ts'),
  },
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  bad_setting: '`tidemark config --docs` lists every setting with what is allowed',
  usage: '`tidemark --help` lists the commands, `tidemark <command> --help` the options of one',
  unreachable: 'is the broker running, and does KAFKA_BROKERS name it as it is reached from here?',
}

/**
 * Runs one command line.
 * @param argv the arguments after the program's name
 * @returns the exit code; never throws, every error has been told on `context.stderr`
 */
export async function runCli(
  argv: readonly string[],
  context: CommandContext,
  commands: Readonly<Record<string, Listed>> = COMMANDS,
): Promise<number> {
  try {
    return await dispatch(argv, context, commands)
  } catch (error) {
    return report(error, context)
  }
}

async function dispatch(
  argv: readonly string[],
  context: CommandContext,
  commands: Readonly<Record<string, Listed>>,
): Promise<number> {
  let exitCode: number = EXIT.done
  const program = new Command('tidemark')
    .description('Exact, windowed login statistics on Kafka')
    .version(readVersion(context.readFile))
    .exitOverride()
    .configureOutput({ writeOut: text => context.stdout.write(text), writeErr: text => context.stderr.write(text) })
    .showHelpAfterError('(`tidemark --help` lists the commands, `tidemark <command> --help` the options of one)')
    .showSuggestionAfterError()
  // No option takes a value before the command's name, so the name is the first word, or the one after `help`.
  const chosen = argv[0] === 'help' ? argv[1] : argv[0]
  for (const [name, listed] of Object.entries(commands)) {
    const sub = program.command(name).description(listed.summary)
    if (name !== chosen) continue
    const { command } = await listed.load()
    command.define?.(sub)
    sub.action(async () => {
      exitCode = await command.run(context, sub.opts(), sub.args)
    })
  }
  await program.parseAsync([...argv], { from: 'user' })
  return exitCode
}

/** Says what went wrong and returns the exit code that goes with it. */
function report(error: unknown, context: CommandContext): number {
  // Commander has already written its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error instanceof TidemarkError) {
    const hint = HINTS[error.code]
    const lines = [...error.message.split('\n'), ...(hint === undefined ? [] : [`hint: ${hint}`])]
    context.stderr.write(lines.map(line => `tidemark: ${line}\n`).join(''))
  } else {
    context.stderr.write(`tidemark: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
  return exitCodeOf(error)
}

async function main(): Promise<void> {
  const context: CommandContext = {
    env: process.env,
    readFile: path => readFileSync(path, 'utf8'),
    stdout: process.stdout,
    stderr: process.stderr,
  }
  process.on('uncaughtException', error => process.exit(report(error, context)))
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.crashed)
  })
  // An open socket or timer must not keep a process alive whose command has ended.
  process.exit(await runCli(process.argv.slice(2), context))
}

if (import.meta.main) {
  // A role imports some 400 files, which take half of its start to compile: the next start finds them compiled.
  enableCompileCache()
  await main()
}
