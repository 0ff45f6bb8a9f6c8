import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from './processes.ts'

const POLL_MS = 100
const REQUEST_TIMEOUT_MS = 5_000

type Endpoint = { readonly url: string; readonly certificate: string; readonly token: string }

/**
 * Waits until the API server says that it is ready.
 * @throws Error with the end of the logs, when one of the servers ends or the time is over
 */
export async function waitForReady(endpoint: Endpoint, servers: readonly Server[], timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const reason = await whyNotReady(endpoint)
    if (reason === null) return
    const ended = servers.find(server => !server.isRunning())
    if (ended !== undefined) throw new Error(`${ended.name} ended before it was ready:\n${ended.lastLines()}`)
    if (Date.now() > deadline) {
      const logs = servers.map(server => `${server.name}:\n${server.lastLines()}`).join('\n')
      throw new Error(`the API server was not ready within ${timeoutMs} ms: ${reason}\n${logs}`)
    }
    await sleep(POLL_MS)
  }
}

/** Null when it is ready. */
async function whyNotReady({ url, certificate, token }: Endpoint): Promise<string | null> {
  try {
    const ca = await readFile(certificate)
    return await new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` }
      const sent = request(`${url}/readyz`, { ca, headers, timeout: REQUEST_TIMEOUT_MS }, response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve(response.statusCode === 200 ? null : Buffer.concat(chunks).toString()))
      })
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('error', reject)
      sent.end()
    })
  } catch (error) {
    return String(error)
  }
}
