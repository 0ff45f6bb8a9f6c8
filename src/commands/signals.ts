import { EXIT } from '../errors.ts'

/** One press of Ctrl-C may reach a process twice: from the terminal, and handed on by the parent. */
const SAME_SIGNAL_MS = 250

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignalled(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let firstAt: number | null = null
  const onSignal = (signal: string) => {
    if (firstAt !== null && performance.now() - firstAt > SAME_SIGNAL_MS) process.exit(EXIT.failed)
    firstAt ??= performance.now()
    resolve(signal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return promise
}
