import { Writable } from 'node:stream'

/** Where a command prints to: the process's own stream, or a test's. */
export type Sink = { write(text: string): unknown }

/** Writes text, and waits for whoever reads it when it reads slower than we write. */
export async function say(sink: Sink, text: string): Promise<void> {
  if (sink.write(text) === false) await flushed(sink)
}

/** Resolves when all that was written has been handed over: what a pipe has not taken is lost when the process ends. */
export async function flushed(sink: Sink): Promise<void> {
  if (!(sink instanceof Writable) || sink.writableLength === 0) return
  await new Promise<void>(resolve => sink.write('', () => resolve()))
}
