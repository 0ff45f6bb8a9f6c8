import type { Command } from 'commander'
import type { ReadFile } from '../config/sources.ts'

/** The outside as a command sees it, so that a test can hand in its own. */
export type CommandContext = {
  readonly env: NodeJS.ProcessEnv
  /** Reads a whole file as UTF-8 or throws. */
  readonly readFile: ReadFile
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
}

/**
 * One command of the CLI: src/commands/<name>.ts exports it as `command` and is listed in src/main.ts, which gives the
 * name and the summary. The file is loaded only when the command is used.
 */
export type CommandFile = {
  /** Adds options, arguments, subcommands' arguments and examples to the command. */
  readonly define?: (command: Command) => void
  /**
   * Does the whole job and resolves to an exit code of `EXIT`; the process ends when it does, whatever is still open.
   * @param options the parsed options by their camel-case names
   * @param args the positional arguments
   * @throws TidemarkError for what a person should read as one line; anything else is shown with its stack and is 4
   */
  readonly run: (
    context: CommandContext,
    options: Readonly<Record<string, unknown>>,
    args: readonly string[],
  ) => Promise<number>
}
