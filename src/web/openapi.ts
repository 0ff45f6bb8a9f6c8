import type { Endpoint } from './endpoint.ts'
import { PARAMETERS, type ParameterName, type Schema } from './parameters.ts'
import { ref, SCHEMAS } from './schemas.ts'

export const OPENAPI_PATH = '/api/openapi.json'

/** Answers other than 200 that every path may give. */
const PROBLEMS: Readonly<Record<string, string>> = {
  '400': 'A parameter is not allowed; the answer says what is.',
  '404': 'There is no such window; the answer says which there are.',
  '405': 'Only GET and HEAD are allowed.',
  '406': 'The header Accept takes none of the forms that there are.',
  '503': 'The results have not been read yet; ask again after Retry-After seconds.',
}

/**
 * The OpenAPI 3.1 document of the API, from the same definitions by which requests are routed and validated.
 * @param version of Tidemark
 */
export function openApiDocument(endpoints: readonly Endpoint[], version: string): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidemark',
      version,
      description: 'Exact, windowed login statistics: the results of one generation, read from its results topic.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: Object.fromEntries(endpoints.map(endpoint => [endpoint.path, { get: operationOf(endpoint) }])),
    components: { schemas: SCHEMAS },
  }
}

function operationOf(endpoint: Endpoint): Schema {
  const { operationId, summary, description, inPath, inQuery } = endpoint
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: [
      ...inPath.map(name => parameterOf(name, 'path')),
      ...inQuery.map(name => parameterOf(name, 'query')),
      {
        name: 'If-None-Match',
        in: 'header',
        required: false,
        description: 'The ETag of an earlier answer: 304 when it is still the same.',
        schema: { type: 'string' },
      },
    ],
    responses: {
      '200': {
        description: summary,
        headers: {
          ETag: { description: 'Of these very bytes.', schema: { type: 'string' } },
          'Cache-Control': { schema: { type: 'string' } },
          ...(inQuery.includes('cursor')
            ? { Link: { description: 'rel="next", when there is more.', schema: { type: 'string' } } }
            : {}),
        },
        content: contentOf(endpoint),
      },
      '304': { description: 'What If-None-Match names is still the same.' },
      ...Object.fromEntries(Object.entries(PROBLEMS).map(([status, text]) => [status, problemOf(text)])),
    },
  }
}

function parameterOf(name: ParameterName, place: 'path' | 'query'): Schema {
  const { schema, doc, allowed } = PARAMETERS[name]
  return { name, in: place, required: place === 'path', description: `${doc} Allowed: ${allowed}.`, schema }
}

function contentOf({ forms, response }: Endpoint): Schema {
  return {
    ...(forms.includes('json') ? { 'application/json': { schema: response } } : {}),
    ...(forms.includes('csv') ? { 'text/csv': { schema: { type: 'string' } } } : {}),
  }
}

function problemOf(description: string): Schema {
  return { description, content: { 'application/json': { schema: ref('Problem') } } }
}
