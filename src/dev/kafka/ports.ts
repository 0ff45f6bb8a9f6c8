import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { TidemarkError } from '../../errors.ts'

/**
 * The range that free ports are taken from. It lies below the ports that Linux gives to outgoing connections (32768 and up):
 * a client that keeps dialling its stopped broker's port from that range would sooner or later be given this very port as its
 * own, connect to itself, and keep the broker from ever coming back. Hence no binding to port 0.
 */
const FIRST_PORT = 20_000
const PAST_LAST_PORT = 32_000
const ATTEMPTS = 200

/** `count` different TCP ports that nobody listens to on `host` at this moment. */
export async function freePorts(count: number, host: string): Promise<number[]> {
  const found = new Set<number>()
  for (let attempt = 0; attempt < ATTEMPTS && found.size < count; attempt++) {
    const port = randomInt(FIRST_PORT, PAST_LAST_PORT)
    if (!found.has(port) && (await isPortFree(port, host))) found.add(port)
  }
  if (found.size < count) {
    throw new TidemarkError('unreachable', `Found no free TCP port on ${host} in ${FIRST_PORT}-${PAST_LAST_PORT - 1}.`)
  }
  return [...found]
}

/** True when a server could listen to the port now. */
export function isPortFree(port: number, host: string): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
