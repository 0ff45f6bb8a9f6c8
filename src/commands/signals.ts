import { EXIT } from '../errors.ts'

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignalled(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let seen = false
  const onSignal = (signal: string) => {
    if (seen) process.exit(EXIT.failed)
    seen = true
    resolve(signal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return promise
}
