import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { TidemarkError } from '../errors.ts'
import type { Pages } from '../telemetry/http.ts'
import {
  type Answer,
  type ApiContext,
  type BadParameter,
  badParameters,
  type Endpoint,
  type Given,
  isRefusal,
  type Problem,
  shortened,
} from './endpoint.ts'
import { ENDPOINTS } from './endpoints.ts'
import { etagOf, type Form, isKnown, preferredForm } from './negotiation.ts'
import { OPENAPI_PATH, openApiDocument } from './openapi.ts'
import { FORMATS, PARAMETERS, type ParameterName, parametersSchema } from './parameters.ts'

export type ServerOptions = {
  readonly context: ApiContext
  /** Probes and metrics, by path. */
  readonly pages: Pages
  /** False until all results that there were at the start have been read. */
  readonly isReady: () => boolean
  /** Of Tidemark. */
  readonly version: string
  /** A request was answered; `route` is a path as it stands in the document, `other` when there is none. */
  readonly onAnswered: (route: string, status: number, seconds: number) => void
  /** Our own fault: the client was told nothing but 500. */
  readonly onFault: (route: string, error: unknown) => void
}

const TYPES: Readonly<Record<Form, string>> = {
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
}
/** A request has no body that we read, and its head is short. */
const REQUEST_LIMIT_MS = 10_000
const KEEP_ALIVE_MS = 10_000
const MAX_HEADER_BYTES = 16 * 1024
const MAX_BODY_BYTES = 1_024
const MAX_CONNECTIONS = 1_024
const REQUESTS_PER_CONNECTION = 10_000
const OPENAPI_SECONDS = 300
/** While a provisional result is shown, whoever keeps a copy has to ask whether it is still the same. */
const ASK_AGAIN = 'no-cache'

/** The API with probes and metrics beside it, not yet listening. */
export function createServer(options: ServerOptions): FastifyInstance {
  const app = fastify({
    ajv: { customOptions: { allErrors: true, coerceTypes: true, removeAdditional: false, formats: { ...FORMATS } } },
    bodyLimit: MAX_BODY_BYTES,
    // Idle connections end with the server, so that a drain waits for requests alone.
    forceCloseConnections: 'idle',
    frameworkErrors: (_error, _request, reply: FastifyReply) => {
      sendProblem(reply, 400, { error: { code: 'bad_request', message: 'the URL is not well-formed' } })
    },
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxRequestsPerSocket: REQUESTS_PER_CONNECTION,
    requestTimeout: REQUEST_LIMIT_MS,
    routerOptions: { maxParamLength: 500 },
  })
  app.server.maxConnections = MAX_CONNECTIONS
  const paths = [...Object.keys(options.pages), ...ENDPOINTS.map(({ path }) => path), OPENAPI_PATH]
  const known = paths.map(pattern)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (request.method === 'GET' || request.method === 'HEAD') return
    const path = request.url.split('?', 1)[0] ?? ''
    if (!known.some(each => each.test(path))) return
    reply.header('allow', 'GET, HEAD')
    sendProblem(reply, 405, { error: { code: 'method_not_allowed', message: 'only GET and HEAD are allowed' } })
    return reply
  })
  endConnectionsOnClose(app)
  app.addHook('onResponse', async (request, reply) => {
    options.onAnswered(routeOf(request, paths), reply.statusCode, reply.elapsedTime / 1_000)
  })
  app.setNotFoundHandler((_request, reply) => {
    const message = `there is nothing under this path; here are ${paths.join(', ')}`
    sendProblem(reply, 404, { error: { code: 'not_found', message } })
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error.validation !== undefined) {
      const refusal = badParameters(complaintsOf(error, request))
      return sendProblem(reply, refusal.status, refusal.problem)
    }
    const status = error.statusCode ?? 500
    if (status >= 400 && status < 500) {
      return sendProblem(reply, status, { error: { code: 'bad_request', message: error.message } })
    }
    options.onFault(routeOf(request, paths), error)
    return sendProblem(reply, 500, { error: { code: 'fault', message: 'this answer failed; the log says why' } })
  })
  for (const [path, page] of Object.entries(options.pages)) addPage(app, path, page)
  for (const endpoint of ENDPOINTS) addEndpoint(app, endpoint, options)
  addDocument(app, options.version)
  return app
}

/**
 * Opens the port on all addresses of this machine.
 * @returns the port that is open
 * @throws TidemarkError `bad_setting` when it cannot be opened
 */
export async function listen(app: FastifyInstance, port: number): Promise<number> {
  try {
    await app.listen({ port, host: '::', ipv6Only: false })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    // Machines without IPv6.
    if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') await app.listen({ port, host: '0.0.0.0' })
    else {
      const why = code === 'EADDRINUSE' ? 'it is taken' : `it cannot be opened (${code})`
      throw new TidemarkError('bad_setting', `HTTP_PORT is "${port}": ${why}; allowed is a free port`, { cause })
    }
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

/** A connection over which a request was under way at the close would stay open until its client or time ends it. */
function endConnectionsOnClose(app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close')
  })
}

function addPage(app: FastifyInstance, path: string, page: Pages[string]): void {
  app.get(path, async (request, reply) => {
    const { status, contentType, body } = await page(request.headers.accept ?? '')
    reply.code(status).header('content-type', contentType).header('cache-control', 'no-store')
    return body
  })
}

function addEndpoint(app: FastifyInstance, endpoint: Endpoint, { context, isReady }: ServerOptions): void {
  const { path, inPath, inQuery, forms } = endpoint
  const schema = {
    querystring: parametersSchema(inQuery),
    ...(inPath.length === 0 ? {} : { params: parametersSchema(inPath, true) }),
  }
  app.get(path.replaceAll(/\{(\w+)\}/g, ':$1'), { schema }, async (request, reply) => {
    if (!isReady()) {
      reply.header('retry-after', '1')
      return sendProblem(reply, 503, { error: { code: 'not_ready', message: 'the results are still being read' } })
    }
    const given = { ...(request.query as object), ...(request.params as object) } as Given
    const form = given.format ?? preferredForm(request.headers.accept, forms)
    if (form === null) return sendNotAcceptable(reply, forms)
    const answer = endpoint.answer(given, context)
    if (isRefusal(answer)) return sendProblem(reply, answer.status, answer.problem)
    reply.header('vary', 'accept')
    if (answer.next) reply.header('link', `<${answer.next}>; rel="next"`)
    return send(request, reply, answer, form)
  })
}

function addDocument(app: FastifyInstance, version: string): void {
  const body = JSON.stringify(openApiDocument(ENDPOINTS, version), null, 2)
  app.get(OPENAPI_PATH, { schema: { querystring: parametersSchema([]) } }, async (request, reply) => {
    if (preferredForm(request.headers.accept, ['json']) === null) return sendNotAcceptable(reply, ['json'])
    return send(request, reply, { json: () => body, maxAgeSeconds: OPENAPI_SECONDS }, 'json')
  })
}

function send(request: FastifyRequest, reply: FastifyReply, answer: Answer, form: Form): FastifyReply {
  const body = form === 'csv' && answer.csv !== undefined ? answer.csv() : answer.json()
  const etag = etagOf(body)
  const { maxAgeSeconds } = answer
  reply.header('etag', etag)
  // Private: who may read it is decided in front of us, so no cache that is shared may give it away.
  reply.header('cache-control', maxAgeSeconds === 0 ? ASK_AGAIN : `private, max-age=${maxAgeSeconds}`)
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send()
  reply.header('content-type', TYPES[form])
  if (form === 'csv') reply.header('content-disposition', 'attachment; filename="tidemark.csv"')
  return reply.send(body)
}

function sendProblem(reply: FastifyReply, status: number, problem: Problem): FastifyReply {
  reply.code(status).header('content-type', TYPES.json).header('cache-control', 'no-store')
  return reply.send(JSON.stringify(problem))
}

function sendNotAcceptable(reply: FastifyReply, forms: readonly Form[]): FastifyReply {
  const allowed = forms.map(form => TYPES[form].split(';', 1)[0]).join(' and ')
  const message = `the header Accept takes none of the forms that there are: ${allowed}`
  return sendProblem(reply, 406, { error: { code: 'not_acceptable', message } })
}

/** One complaint for each parameter that is not as it should be. */
function complaintsOf({ validation = [] }: FastifyError, request: FastifyRequest): BadParameter[] {
  const given = { ...(request.query as object), ...(request.params as object) } as Record<string, unknown>
  const complaints = new Map<string, BadParameter>()
  for (const { instancePath, params } of validation) {
    const unknown = (params as { additionalProperty?: string }).additionalProperty
    const name = unknown ?? instancePath.split('/')[1] ?? ''
    const value = given[name]
    const allowed =
      unknown === undefined && Object.hasOwn(PARAMETERS, name)
        ? `${PARAMETERS[name as ParameterName].allowed}${Array.isArray(value) ? ', once' : ''}`
        : `none of that name; here are ${namesHere(request)}`
    complaints.set(name, {
      name: shortened(name),
      value: value === undefined ? null : shortened(String(value)),
      allowed,
    })
  }
  return [...complaints.values()]
}

function namesHere(request: FastifyRequest): string {
  const schema = request.routeOptions.schema?.querystring as { properties?: object } | undefined
  return Object.keys(schema?.properties ?? {}).join(', ') || 'none'
}

/** The path as the document has it: bounded, for metrics and logs. */
function routeOf({ routeOptions }: FastifyRequest, paths: readonly string[]): string {
  const route = routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}')
  return route !== undefined && paths.includes(route) ? route : 'other'
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`)
}
