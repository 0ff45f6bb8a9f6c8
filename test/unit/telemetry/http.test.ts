import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { exitCodeOf } from '../../../src/errors.ts'
import { type HttpServer, jsonPage, type Pages, serveHttp } from '../../../src/telemetry/http.ts'

const open: HttpServer[] = []

const PAGES: Pages = {
  '/livez': () => jsonPage({ ok: true, body: { live: true } }),
  '/readyz': async () => jsonPage({ ok: false, body: { ready: false } }),
  '/metrics': () => {
    throw new Error('user-1 from 1.2.3.4')
  },
}

async function serve(port = 0): Promise<HttpServer> {
  const server = await serveHttp(port, PAGES)
  open.push(server)
  return server
}

afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

/** Sends a path as it stands: `fetch` would tidy it up. */
function ask(server: HttpServer, path: string, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const asked = request({ port: server.port, path, method, timeout: 5_000 }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', text => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('a page', () => {
  it('is JSON, 200 when ok and 503 when not', async () => {
    const server = await serve()
    const alive = await ask(server, '/livez')
    expect([alive.status, JSON.parse(alive.body)]).toEqual([200, { live: true }])
    expect(alive.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    })
    expect(await ask(server, '/readyz?verbose')).toMatchObject({ status: 503, body: '{\n  "ready": false\n}\n' })
  })

  it('has no body for HEAD', async () => {
    expect(await ask(await serve(), '/livez', 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  it('that fails says no more than that', async () => {
    expect(await ask(await serve(), '/metrics')).toMatchObject({ status: 500, body: 'this page failed\n' })
  })

  it.each(['/', '/livez/', '//livez', '/__proto__', '/constructor', '/%2e%2e/etc/passwd'])(
    'is not at %s',
    async path => {
      const { status, body } = await ask(await serve(), path)
      expect([status, body]).toEqual([404, 'not found; here are /livez, /readyz, /metrics\n'])
    },
  )

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('is not there for %s', async method => {
    const { status, headers } = await ask(await serve(), '/livez', method)
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
  })
})

describe('the port', () => {
  it('that is taken is a bad setting', async () => {
    const { port } = await serve()
    const second = serve(port).catch((error: unknown) => error)
    expect(await second).toMatchObject({
      code: 'bad_setting',
      message: `HTTP_PORT is "${port}": it is taken; allowed is a free port, or 0 for none`,
    })
    expect(exitCodeOf(await second)).toBe(2)
  })

  it('closes at once, whoever is connected', async () => {
    const server = await serve()
    const idle = connect(server.port)
    const ended = new Promise<void>(resolve => idle.once('close', () => resolve()))
    idle.on('error', () => {})
    await ask(server, '/livez')
    await server.close()
    await ended
    expect(idle.destroyed).toBe(true)
    await expect(ask(server, '/livez')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
