import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { TidemarkError } from '../errors.ts'

export type Page = { readonly status: number; readonly contentType: string; readonly body: string }

/**
 * What is answered under a path, as `/livez`, to a request with this header `accept` ('' when it has none). A page
 * that throws is answered with 500 and tells nothing more.
 */
export type Pages = Readonly<Record<string, (accept?: string) => Page | Promise<Page>>>

export type HttpServer = {
  /** The port that is open; what was asked for, or the one that was free when 0 was. */
  readonly port: number
  /** Closes the port and all connections at once; what is being answered is cut off. */
  close(): Promise<void>
}

const TEXT = 'text/plain; charset=utf-8'
/** Probes and scrapers come a few at a time; more is no use of ours. */
const MAX_CONNECTIONS = 64
/** A request has no body that we read, so that its head is all there is to wait for. */
const REQUEST_LIMIT_MS = 5_000

/**
 * Serves fixed pages by GET and HEAD on all addresses of this machine.
 * @param port 0 takes any free one
 * @throws TidemarkError `bad_setting` when the port cannot be opened
 */
export async function serveHttp(port: number, pages: Pages): Promise<HttpServer> {
  const server = createServer({ requestTimeout: REQUEST_LIMIT_MS, headersTimeout: REQUEST_LIMIT_MS })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => void answer(pages, request, response))
  await listen(server, port)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A page of JSON, 200 or 503. */
export function jsonPage(answer: { readonly ok: boolean; readonly body: unknown }): Page {
  return {
    status: answer.ok ? 200 : 503,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(answer.body, null, 2)}\n`,
  }
}

async function answer(pages: Pages, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const page = await pageOf(pages, request)
  response.writeHead(page.status, {
    'content-type': page.contentType,
    'content-length': Buffer.byteLength(page.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(page.status === 405 ? { allow: 'GET, HEAD' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : page.body)
}

async function pageOf(pages: Pages, { method, url = '', headers }: IncomingMessage): Promise<Page> {
  const path = url.split('?', 1)[0] ?? ''
  const page = pages[path]
  if (page === undefined) return textPage(404, `not found; here are ${Object.keys(pages).join(', ')}`)
  if (method !== 'GET' && method !== 'HEAD') return textPage(405, 'only GET and HEAD are allowed')
  try {
    return await page(headers.accept ?? '')
  } catch {
    return textPage(500, 'this page failed')
  }
}

function textPage(status: number, text: string): Page {
  return { status, contentType: TEXT, body: `${text}\n` }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Kept for good: an error of a connection that could not be taken later must not end the process.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'it is taken' : `it cannot be opened (${cause.code})`
      const message = `HTTP_PORT is "${port}": ${why}; allowed is a free port, or 0 for none`
      reject(new TidemarkError('bad_setting', message, { cause }))
    })
    server.listen(port, resolve)
  })
}
