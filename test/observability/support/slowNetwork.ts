import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** A way to a broker that can be made slow while it is in use. */
export type SlowNetwork = {
  /** Each piece of an answer is this long on its way from now on, milliseconds; 0 at the start. */
  delay(ms: number): void
  close(): Promise<void>
}

type Place = { readonly host: string; readonly port: number }

/** Listens at `from` and passes all on to `to`. */
export async function startSlowNetwork(from: Place, to: Place): Promise<SlowNetwork> {
  let delayMs = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const broker = connect(to)
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      sockets.add(socket)
      socket.once('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.on('error', () => other.destroy())
    }
    client.pipe(broker)
    passOnLate(broker, client, () => delayMs)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(from.port, from.host, resolve)
  })
  return {
    delay: ms => {
      delayMs = ms
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Pieces keep their order, whatever the delay of each. */
function passOnLate(source: Duplex, sink: Duplex, delayMs: () => number): void {
  let before: Promise<unknown> = Promise.resolve()
  source.on('data', (piece: Buffer) => {
    const dueMs = performance.now() + delayMs()
    before = before.then(() => sleep(Math.max(0, dueMs - performance.now()))).then(() => sink.write(piece))
  })
}
