import { createServer } from 'node:http'

/** Takes whatever comes by OTLP over HTTP, as a collector does that only counts. */
export type OtlpMessage =
  | { readonly kind: 'listening'; readonly endpoint: string }
  | { readonly kind: 'received'; readonly requests: number; readonly bytes: number }

const TELL_MS = 500
const received = { requests: 0, bytes: 0 }

const server = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => {
    received.bytes += chunk.length
  })
  request.on('end', () => {
    received.requests++
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port')
  tell({ kind: 'listening', endpoint: `http://127.0.0.1:${address.port}` })
})
setInterval(() => tell({ kind: 'received', ...received }), TELL_MS)
process.on('disconnect', () => process.exit(1))

function tell(message: OtlpMessage): void {
  process.send?.(message)
}
