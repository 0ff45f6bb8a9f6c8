import { describe, expect, it } from 'vitest'
import type { Result } from '../../../src/results/result.ts'
import { listen } from '../../../src/web/server.ts'
import { aResult, T0 } from '../results/factory.ts'
import { aServer, put, someResults } from './support.ts'

const { app } = aServer()
const get = (url: string, headers: Record<string, string> = {}) => app.inject({ method: 'GET', url, headers })
const starts = (body: { windows: Result[] }) => body.windows.map(({ window }) => window.start.slice(14, 19))

describe('windows', () => {
  it('are the latest of the shortest size unless something else is asked for', async () => {
    const { statusCode, headers, ...response } = await get('/api/windows')
    expect([statusCode, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    expect(response.json()).toMatchObject({ size: '10s', order: 'desc', count: 12, next: null })
    expect(response.json().windows[0]).toEqual(someResults()[11])
    expect(starts(response.json()).slice(0, 3)).toEqual(['01:50', '01:40', '01:30'])
  })

  it.each([
    ['size=1m', ['01:00', '00:00']],
    ['size=60s', ['01:00', '00:00']],
    ['size=1h', []],
    ['order=asc&limit=2', ['00:00', '00:10']],
    ['limit=2', ['01:50', '01:40']],
    ['from=2023-09-12T00:01:30Z', ['01:50', '01:40', '01:30']],
    ['from=2023-09-12T02:01:30%2B02:00', ['01:50', '01:40', '01:30']],
    ['from=2023-09-12T02:01:30+02:00', ['01:50', '01:40', '01:30']],
    [`from=${T0 + 10_000}&to=${T0 + 30_000}&order=asc`, ['00:10', '00:20']],
    [`to=${T0 + 1}`, ['00:00']],
    ['status=provisional', ['01:50', '01:40']],
    ['status=final,corrected&limit=1', ['01:30']],
    ['from=2030-01-01', []],
  ])('%s', async (query, wanted) => {
    expect(starts((await get(`/api/windows?${query}`)).json())).toEqual(wanted)
  })

  it.each(['asc', 'desc'])('are told page by page, each once (%s), also while others come', async order => {
    const { app, store } = aServer()
    const found: string[] = []
    let url = `/api/windows?limit=5&order=${order}&status=final`
    while (url !== '') {
      const { headers, body } = await app.inject({ url })
      const page = JSON.parse(body) as { next: string | null; windows: Result[] }
      expect(headers.link).toBe(page.next === null ? undefined : `<${page.next}>; rel="next"`)
      found.push(...starts(page))
      url = page.next ?? ''
      put(store, aResult('10s', T0 - 10_000))
    }
    const all = ['00:00', '00:10', '00:20', '00:30', '00:40', '00:50', '01:00', '01:10', '01:20', '01:30']
    expect(found).toEqual(order === 'asc' ? all : [...all.reverse(), '59:50'])
  })

  it('one by one, by key or by size and start', async () => {
    const wanted = someResults()[3]
    for (const path of [
      '10s/2023-09-12T00:00:30.000Z',
      '10s%2F2023-09-12T00:00:30.000Z',
      '10s/2023-09-12T00:00:30Z',
      `10s/${T0 + 30_000}`,
    ]) {
      const response = await get(`/api/windows/${path}`)
      expect([path, response.statusCode, response.json()]).toEqual([path, 200, wanted])
    }
  })

  it.each(['10s/2023-09-12T00:00:31Z', '7s/2023-09-12T00:00:30Z', '10s%2F2030-01-01'])(
    '%s: 404 with what there is',
    async path => {
      const response = await get(`/api/windows/${path}`)
      expect(response.statusCode).toBe(404)
      expect(response.json().error).toMatchObject({ code: 'not_found' })
      expect(response.json().error.sizes[0]).toEqual({
        size: '10s',
        windows: 12,
        first: '2023-09-12T00:00:00.000Z',
        last: '2023-09-12T00:01:50.000Z',
        last_final: '2023-09-12T00:01:30.000Z',
      })
    },
  )
})

describe('insights, quality, history, sizes', () => {
  it.each([
    ['', '2023-09-12T00:01:30.000Z', 10],
    ['?size=1m', '2023-09-12T00:01:00.000Z', 60],
    ['?window=2023-09-12T00:01:50Z', '2023-09-12T00:01:50.000Z', 10],
  ])('insights%s', async (query, start, logins) => {
    expect((await get(`/api/insights${query}`)).json().scope).toMatchObject({ window: { start }, logins })
  })

  it('insights of all history are those of the windows that know most', async () => {
    const { scope, user_engagement } = (await get('/api/insights?window=all')).json()
    // The two minutes count more than the day that is behind them, and as much as what they are made of.
    expect(scope).toMatchObject({ window: null, logins: 120, status: 'final' })
    expect(user_engagement.users).toMatchObject({ at_least: 4, at_most: 8 })
    expect((await get('/api/history')).json()).toMatchObject({ logins: 120, windows: { '1m': 2 } })
  })

  it('no final window yet: 404', async () => {
    const response = await get('/api/insights?size=1d')
    expect([response.statusCode, response.json().error.message]).toEqual([404, expect.stringContaining('final yet')])
  })

  it('quality adds up all windows asked for, whatever the page', async () => {
    const response = await get('/api/quality?limit=2&to=2023-09-12T00:01:00Z')
    expect(response.json()).toMatchObject({
      size: '10s',
      from: '2023-09-12T00:00:00.000Z',
      to: '2023-09-12T00:01:00.000Z',
      windows: 6,
      logins: 60,
      missing: [{ name: 'device_type', count: 6, percent: 10 }],
      invalid: [{ name: 'ip', count: 12, percent: 20 }],
      stream: { records: 100, late_percent: 4, rejected_percent: 6 },
    })
    expect(response.json().by_window).toHaveLength(2)
    const next = (await get(response.json().next)).json()
    expect([next.windows, next.by_window[0].start]).toEqual([6, '2023-09-12T00:00:30.000Z'])
  })

  it('quality of nothing', async () => {
    const found = (await get('/api/quality?size=1h')).json()
    expect(found).toMatchObject({
      from: null,
      windows: 0,
      logins: 0,
      stream: { records: 100 },
      missing: [],
      by_window: [],
    })
  })

  it('the rates of the stream are those of the result that was written last', async () => {
    const totals = { accepted: 199, late: 1, rejected: {} }
    const later = { current_time: '2023-09-12T09:00:00.000Z', stream_totals: totals }
    const { app } = aServer([aResult('1h', T0, later), ...someResults()])
    const stream = { records: 200, late_percent: 0.5, rejected: 0 }
    expect((await app.inject({ url: '/api/quality' })).json()).toMatchObject({ stream })
    expect((await app.inject({ url: '/api/insights?window=all' })).json().data_quality).toMatchObject({ stream })
  })

  it('sizes that are set are told even without windows', async () => {
    const { sizes } = (await get('/api/sizes')).json()
    expect(sizes.map(({ size, windows }: { size: string; windows: number }) => `${size} ${windows}`)).toEqual([
      ...['10s 12', '1m 2', '1h 0', '1d 1'],
    ])
    expect(sizes[2]).toMatchObject({ first: null, last: null, last_final: null })
  })

  it('history is added up anew when a result has come', async () => {
    const { app, store } = aServer()
    const logins = async () => (await app.inject({ url: '/api/history' })).json().logins
    expect(await logins()).toBe(120)
    put(store, aResult('1m', T0 + 120_000, { batch_size: 7 }))
    expect(await logins()).toBe(127)
  })
})

describe('what is not allowed', () => {
  it.each([
    ['/api/windows?size=abc', 'size', 'a size of `/api/sizes`, as 10s or 1m'],
    ['/api/windows?size=7s', 'size', 'one of 10s, 1m, 1h, 1d'],
    ['/api/windows?limit=0', 'limit', 'a whole number from 1 to 1000'],
    ['/api/windows?limit=1001', 'limit', 'a whole number from 1 to 1000'],
    ['/api/windows?limit=1e9', 'limit', 'a whole number from 1 to 1000'],
    ['/api/windows?limit=', 'limit', 'a whole number from 1 to 1000'],
    ['/api/windows?limit=1&limit=2', 'limit', 'a whole number from 1 to 1000, once'],
    ['/api/windows?from=yesterday', 'from', 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds'],
    ['/api/windows?from=2023-02-30', 'from', 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds'],
    ['/api/windows?from=99999999999999999', 'from', 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds'],
    ['/api/windows?from=20&to=20', 'to', 'a time later than `from`'],
    ['/api/windows?order=up', 'order', 'asc or desc'],
    ['/api/windows?status=open', 'status', 'one or more of provisional, final, corrected, with commas between them'],
    ['/api/windows?format=xml', 'format', 'json or csv'],
    ['/api/windows?cursor=abc', 'cursor', expect.stringContaining('`next`')],
    ['/api/insights?window=none', 'window', expect.stringContaining('latest, all, or')],
    ['/api/insights?window=all&size=1m', 'size', expect.stringContaining('none together with window=all')],
    ['/api/windows/1m/soon', 'start', 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds'],
    ['/api/windows/1x/2023-09-12', 'size', 'a size of `/api/sizes`, as 10s or 1m'],
    ['/api/windows/soon', 'key', '<size>/<start>, its slash encoded as %2F'],
    ['/api/history?size=1m', 'size', 'none of that name; here are format'],
    ['/api/windows?since=1', 'since', expect.stringContaining('here are size, from, to, limit')],
    ['/api/windows?__proto__=1', '__proto__', expect.stringContaining('none of that name')],
    ['/api/openapi.json?x=1', 'x', 'none of that name; here are none'],
  ])('%s', async (url, name, allowed) => {
    const response = await get(url)
    expect(response.statusCode).toBe(400)
    expect(response.json().error).toMatchObject({ code: 'bad_parameter', parameters: [{ name, allowed }] })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('every bad parameter is told at once', async () => {
    const response = await get('/api/windows?limit=x&order=y&z=1')
    const names = response.json().error.parameters.map(({ name }: { name: string }) => name)
    expect(names.sort()).toEqual(['limit', 'order', 'z'])
  })

  it('a cursor of another size or order', async () => {
    const next = (await get('/api/windows?limit=1')).json().next as string
    for (const url of [`${next}&size=1m`, next.replace('order=desc', 'order=asc')]) {
      const response = await get(url)
      expect([url, response.statusCode, response.json().error.parameters[0].name]).toEqual([url, 400, 'cursor'])
    }
  })

  it('a URL that is not well-formed, and one without end', async () => {
    expect((await get('/api/windows/%zz')).statusCode).toBe(400)
    expect((await get(`/api/windows/${'x'.repeat(5_000)}`)).statusCode).toBeGreaterThanOrEqual(400)
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)('%s: 405', async method => {
    for (const url of ['/api/windows?size=1m', '/api/windows/1m/5', '/api/openapi.json', '/livez']) {
      const response = await app.inject({ method, url })
      expect([url, response.statusCode, response.headers.allow]).toEqual([url, 405, 'GET, HEAD'])
    }
    expect((await app.inject({ method, url: '/else' })).statusCode).toBe(404)
  })

  it.each(['/', '/api', '/api/nothing', '/api/windows/', '/api/windows/a/b/c'])('%s: 404 with the paths', async url => {
    const response = await get(url)
    if (url !== '/api/windows/') expect(response.json().error.message).toContain('/api/windows/{size}/{start}')
    expect(response.statusCode).toBeGreaterThanOrEqual(400)
  })

  it('a form that there is none of: 406', async () => {
    const response = await get('/api/windows', { accept: 'application/xml, text/csv;q=0' })
    expect([response.statusCode, response.json().error.message]).toEqual([406, expect.stringContaining('text/csv')])
    expect((await get('/api/openapi.json', { accept: 'text/csv' })).statusCode).toBe(406)
  })
})

describe('the form of an answer', () => {
  it.each([
    [{}, '', 'application/json'],
    [{ accept: '*/*' }, '', 'application/json'],
    [{ accept: 'text/csv' }, '', 'text/csv'],
    [{ accept: 'text/*' }, '', 'text/csv'],
    [{ accept: 'application/json;q=0.5, text/csv;q=0.9' }, '', 'text/csv'],
    [{ accept: 'text/csv' }, '?format=json', 'application/json'],
    [{}, '?format=csv', 'text/csv'],
  ])('%j %s: %s', async (headers, query, type) => {
    const response = await get(`/api/windows${query}`, headers)
    expect(response.headers['content-type']).toBe(`${type}; charset=utf-8`)
    expect(response.headers.vary).toBe('accept')
  })

  it('a window as a row of CSV', async () => {
    const { body } = await get('/api/windows?size=1m&limit=1&format=csv')
    const [head = '', row = '', end] = body.split('\r\n')
    expect(end).toBe('')
    expect(head.split(',').slice(0, 5)).toEqual(['window_size', 'window_start', 'window_end', 'generation', 'status'])
    expect(row).toContain('1m,2023-09-12T00:01:00.000Z,2023-09-12T00:02:00.000Z,1,final,60,true')
    expect(row).toContain('"{""android"":6,""ios"":3,""unknown"":1}"')
  })

  it('a value that a spreadsheet would compute is text', async () => {
    const popular = { device_type: '=cmd|x', locale: '@SUM(1)', app_version: '-1,"2"' }
    const { app } = aServer([aResult('10s', T0, { most_popular: popular, app_version_stats: { '+1': 10 } })])
    const windows = await app.inject({ url: '/api/windows?format=csv' })
    expect(windows.body).toContain(`,'=cmd|x,'@SUM(1),"'-1,""2""",`)
    expect((await app.inject({ url: '/api/insights?format=csv' })).body).toContain(
      "version_adoption.top,'+1,10,100\r\n",
    )
  })

  it('measures as rows', async () => {
    const { body } = await get('/api/insights?format=csv')
    expect(body).toContain('measure,name,value,percent\r\n')
    expect(body).toContain('\r\nplatform_analytics.top,android,6,60\r\n')
    expect(body).toContain('\r\ndata_quality.stream.late_percent,,4,\r\n')
    const history = (await get('/api/history?format=csv')).body
    expect(history).toContain('\r\ndevice_stats,android,12,\r\n')
    expect(history).toContain('\r\nstream_totals.rejected,not_json,6,\r\n')
  })

  it('quality and sizes as rows', async () => {
    const quality = (await get('/api/quality?format=csv&limit=1')).body.split('\r\n')
    expect(quality[1]).toBe('10s,2023-09-12T00:01:50.000Z,provisional,true,10,1,0,0,0,0,0,0,0,0,2')
    expect((await get('/api/sizes?format=csv')).body).toContain('1h,0,,,\r\n')
  })
})

describe('caches', () => {
  it('an ETag is of the very bytes: 304 until something changes', async () => {
    const { app, store } = aServer()
    const first = await app.inject({ url: '/api/windows' })
    const etag = String(first.headers.etag)
    expect(etag).toMatch(/^"[\w-]{20,}"$/)
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await app.inject({ url: '/api/windows', headers: { 'if-none-match': known } })
      expect([known, again.statusCode, again.body, again.headers.etag]).toEqual([known, 304, '', etag])
    }
    expect((await app.inject({ url: '/api/windows?format=csv' })).headers.etag).not.toBe(etag)
    put(store, aResult('10s', T0 + 110_000, { status: 'provisional', revision: 99 }))
    const changed = await app.inject({ url: '/api/windows', headers: { 'if-none-match': etag } })
    expect(changed.statusCode).toBe(200)
  })

  it.each([
    ['/api/windows?status=final', 'no-cache'],
    ['/api/windows/10s/2023-09-12T00:01:50Z', 'no-cache'],
    ['/api/windows/10s/2023-09-12T00:00:00Z', 'private, max-age=10'],
    ['/api/insights', 'no-cache'],
    ['/api/insights?window=all', 'no-cache'],
    ['/api/quality', 'no-cache'],
    ['/api/openapi.json', 'private, max-age=300'],
    ['/livez', 'no-store'],
  ])('%s: %s', async (url, control) => {
    expect((await get(url)).headers['cache-control']).toBe(control)
  })

  it('HEAD is GET without the body', async () => {
    const [head, whole] = [await app.inject({ method: 'HEAD', url: '/api/windows' }), await get('/api/windows')]
    expect([head.statusCode, head.body]).toEqual([200, ''])
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control'] as const) {
      expect(head.headers[name]).toBe(whole.headers[name])
    }
  })
})

describe('the server', () => {
  it('answers nothing of results that it has not all read', async () => {
    const { app } = aServer(someResults(), { isReady: () => false })
    const response = await app.inject({ url: '/api/windows' })
    expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '1'])
    expect((await app.inject({ url: '/livez' })).statusCode).toBe(200)
    expect((await app.inject({ url: '/api/openapi.json' })).statusCode).toBe(200)
  })

  it('tells its requests by their path in the document', async () => {
    const { app, recorded } = aServer()
    for (const url of ['/api/windows/10s/5', '/api/windows?x=1', '/secret/value', '/livez']) await app.inject({ url })
    expect(recorded.answered).toEqual([
      ...['/api/windows/{size}/{start} 404', '/api/windows 400', 'other 404', '/livez 200'],
    ])
  })

  it('keeps a fault to itself', async () => {
    const fault = new Error('the password is 1234')
    const pages = {
      '/metrics': () => {
        throw fault
      },
    }
    const { app, recorded } = aServer([], { pages })
    const response = await app.inject({ url: '/metrics' })
    expect([response.statusCode, response.body.includes('1234')]).toEqual([500, false])
    expect(recorded.faults).toEqual([fault])
  })

  it('finishes a request that has come when it is closed, and takes no other', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const slow = async () => {
      begin()
      await gate
      return { status: 200, contentType: 'text/plain', body: 'done' }
    }
    const { app } = aServer([], { pages: { '/metrics': slow } })
    const port = await listen(app, 0)
    const answer = fetch(`http://127.0.0.1:${port}/metrics`)
    await begun
    const closed = app.close()
    await expect(fetch(`http://127.0.0.1:${port}/api/sizes`)).rejects.toThrow()
    open()
    expect(await (await answer).text()).toBe('done')
    await closed
  })

  it('a port that is taken is a bad setting', async () => {
    const [first, second] = [aServer().app, aServer().app]
    const port = await listen(first, 0)
    await expect(listen(second, port)).rejects.toMatchObject({
      code: 'bad_setting',
      message: `HTTP_PORT is "${port}": it is taken; allowed is a free port`,
    })
    await first.close()
  })
})
