import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { ENDPOINTS } from '../../../src/web/endpoints.ts'
import { openApiDocument } from '../../../src/web/openapi.ts'
import { FORMATS } from '../../../src/web/parameters.ts'
import { aResult, T0 } from '../results/factory.ts'
import { aServer } from './support.ts'

type Operation = {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[]
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }>
}

const { app } = aServer()
const document = (await app.inject({ url: '/api/openapi.json' })).json()
const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { ...FORMATS, 'date-time': isTime } })
ajv.addSchema(document, 'doc')

function isTime(text: string): boolean {
  return new Date(text).toISOString() === text
}

/** Compiles the schema of one answer, its references resolved in the document. */
function validator(path: string, status: number, type: string): ValidateFunction {
  const operation = document.paths[path].get as Operation
  expect([path, Object.keys(operation.responses)]).toEqual([path, expect.arrayContaining([String(status)])])
  const pointer = ['paths', path, 'get', 'responses', String(status), 'content', type, 'schema']
  const escaped = pointer.map(part => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
  return ajv.compile({ $ref: `doc#/${escaped.join('/')}` })
}

const EXAMPLES: readonly (readonly [path: string, url: string])[] = [
  ['/api/windows', '/api/windows'],
  ['/api/windows', '/api/windows?limit=1'],
  ['/api/windows', '/api/windows?size=1h'],
  ['/api/windows', '/api/windows?limit=0&x=1'],
  ['/api/windows', '/api/windows?format=csv'],
  ['/api/windows/{size}/{start}', '/api/windows/10s/2023-09-12T00:00:00Z'],
  ['/api/windows/{size}/{start}', '/api/windows/10s/2023-09-12T00:00:01Z'],
  ['/api/windows/{size}/{start}', '/api/windows/10s/x'],
  ['/api/windows/{key}', '/api/windows/10s%2F2023-09-12T00:00:00Z'],
  ['/api/windows/{key}', '/api/windows/x'],
  ['/api/insights', '/api/insights'],
  ['/api/insights', '/api/insights?window=all'],
  ['/api/insights', '/api/insights?size=1d'],
  ['/api/quality', '/api/quality'],
  ['/api/quality', '/api/quality?size=1h'],
  ['/api/history', '/api/history'],
  ['/api/history', '/api/history?x'],
  ['/api/sizes', '/api/sizes'],
]

it.each(EXAMPLES)('%s: what %s answers is what the document says', async (path, url) => {
  const response = await app.inject({ url })
  const type = String(response.headers['content-type']).split(';')[0] as string
  const validate = validator(path, response.statusCode, type)
  const body = type === 'text/csv' ? response.body : response.json()
  expect([validate(body), validate.errors]).toEqual([true, null])
})

it.each([405, 406, 503])('a problem of %d too', async status => {
  const unready = aServer([], { isReady: () => false }).app
  const response =
    status === 405
      ? await app.inject({ method: 'POST', url: '/api/sizes' })
      : await (status === 503 ? unready : app).inject({
          url: '/api/sizes',
          headers: { accept: status === 406 ? 'a/b' : '*/*' },
        })
  expect(response.statusCode).toBe(status)
  const validate = validator('/api/sizes', status, 'application/json')
  expect([validate(response.json()), validate.errors]).toEqual([true, null])
})

it('an answer that lacks a field, or has one too many, is found', async () => {
  const validate = validator('/api/windows', 200, 'application/json')
  const body = (await app.inject({ url: '/api/windows?limit=1' })).json()
  const { revision: _, ...less } = body.windows[0]
  expect([validate(body), validate({ ...body, windows: [less] }), validate({ ...body, more: 1 })]).toEqual([
    ...[true, false, false],
  ])
})

it('a result may say under which span it was told, by whole ids', () => {
  const validate = validator('/api/windows/{size}/{start}', 200, 'application/json')
  const told = (trace: unknown) => validate({ ...aResult('10s', T0), trace })
  const ids = { trace_id: 'c'.repeat(32), span_id: 'd'.repeat(16) }
  expect([told(ids), validate(aResult('10s', T0))]).toEqual([true, true])
  expect([told({ ...ids, span_id: 'd' }), told({ trace_id: ids.trace_id }), told('c')]).toEqual([false, false, false])
})

it('nothing without results differs in form', async () => {
  const empty = aServer([]).app
  for (const path of ['/api/windows', '/api/quality', '/api/history', '/api/sizes']) {
    const response = await empty.inject({ url: path })
    const validate = validator(path, response.statusCode, 'application/json')
    expect([path, validate(response.json()), validate.errors]).toEqual([path, true, null])
  }
})

it('every path is served, with the parameters that it says', () => {
  const paths = Object.keys(openApiDocument(ENDPOINTS, '1').paths as object)
  expect(paths).toEqual(ENDPOINTS.map(({ path }) => path))
  for (const path of paths) {
    expect(app.hasRoute({ method: 'GET', url: path.replaceAll(/\{(\w+)\}/g, ':$1') })).toBe(true)
    const inPath = (document.paths[path].get as Operation).parameters.filter(parameter => parameter.in === 'path')
    expect(inPath.map(({ name }) => `{${name}}`).sort()).toEqual((path.match(/\{\w+\}/g) ?? []).sort())
  }
  expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } })
})
