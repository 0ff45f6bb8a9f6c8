import { request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'

export type Asked = {
  readonly options: RequestOptions
  readonly body?: string | undefined
  /** A longer answer is given up. */
  readonly maxBytes: number
}

const REQUEST_LIMIT_MS = 5_000

/**
 * One request and its whole answer, whatever its status.
 * @throws Error when there is none within 5 s, also of a server that takes the connection and says nothing
 */
export function ask(
  url: URL,
  { options, body, maxBytes }: Asked,
): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const signal = AbortSignal.timeout(REQUEST_LIMIT_MS)
  const send = url.protocol === 'http:' ? requestHttp : requestHttps
  const request = send(url, { ...options, signal }, response => {
    const chunks: Buffer[] = []
    let size = 0
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > maxBytes) request.destroy(new Error(`the answer is longer than ${maxBytes} bytes`))
    })
    response.on('error', reject)
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
  })
  request.on('error', error => {
    reject(signal.aborted ? new Error(`no answer within ${REQUEST_LIMIT_MS / 1_000} s`, { cause: error }) : error)
  })
  request.end(body)
  return promise
}
