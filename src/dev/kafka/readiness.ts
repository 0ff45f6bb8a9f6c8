import { connect } from 'node:net'

const API_VERSIONS = 18

/**
 * Asks a broker which requests it speaks: ApiVersions v0, the one request that every Kafka has answered the same way.
 *
 * @returns true when a Kafka broker answered within the time; never throws
 */
export function answersAsKafka(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => finish(false))
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
    socket.once('connect', () => socket.write(apiVersionsRequest(1)))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      // Size (4 bytes), our correlation id (4), error code (2): zero is "here they are".
      if (received.length >= 10) finish(received.readInt32BE(4) === 1 && received.readInt16BE(8) === 0)
    })
  })
}

/** Size, then the request header v1: api key, version, correlation id, no client id. Version 0 has no body. */
function apiVersionsRequest(correlationId: number): Buffer {
  const request = Buffer.alloc(14)
  request.writeInt32BE(10, 0)
  request.writeInt16BE(API_VERSIONS, 4)
  request.writeInt16BE(0, 6)
  request.writeInt32BE(correlationId, 8)
  request.writeInt16BE(-1, 12)
  return request
}
