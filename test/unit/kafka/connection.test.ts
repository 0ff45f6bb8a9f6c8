import { createRequire } from 'node:module'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import '../../../src/kafka/patches.ts'
import { connectSocket } from '../../../src/kafka/sockets.ts'

const load = createRequire(import.meta.url)
const Connection = load('kafkajs/src/network/connection.js')
const Encoder = load('kafkajs/src/protocol/encoder.js')

type Connection = {
  connect(): Promise<void>
  disconnect(): Promise<void>
  send(exchange: object): Promise<Buffer>
  authHandlers: { onSuccess(raw: Buffer): void } | null
  authExpectResponse: boolean
  processData(chunk: Buffer): void
}

const silent = { namespace: () => silent, debug() {}, info() {}, warn() {}, error() {} }
let open: { readonly server: Server; readonly connections: Connection[] }[] = []

afterEach(async () => {
  for (const { server, connections } of open) {
    await Promise.all(connections.map(connection => connection.disconnect()))
    server.close()
  }
  open = []
})

/** A server that is handed the correlation id of each request; `count` connections to it as kafkajs makes them. */
async function connected(
  count: number,
  answer: (correlationId: number, socket: Socket) => void,
  serverOptions: { readonly allowHalfOpen?: boolean } = {},
): Promise<Connection[]> {
  const server = createServer(serverOptions, socket => {
    socket.on('error', () => {})
    let received = Buffer.alloc(0)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        answer(received.readInt32BE(8), socket)
        received = received.subarray(4 + received.readInt32BE(0))
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const options = {
    ...{
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      logger: silent,
      socketFactory: connectSocket,
    },
    ...{ requestTimeout: 5_000, connectionTimeout: 1_000, enforceRequestTimeout: true },
  }
  const connections = Array.from({ length: count }, () => new Connection(options) as Connection)
  open.push({ server, connections })
  await Promise.all(connections.map(connection => connection.connect()))
  return connections
}

const ask = (connection: Connection) =>
  connection.send({
    request: { apiKey: 3, apiVersion: 0, apiName: 'Metadata', encode: async () => new Encoder() },
    response: { decode: async (payload: Buffer) => payload, parse: async (payload: Buffer) => payload },
  })

/** A whole response: its length, the correlation id, and as many bytes of one kind. */
function response(correlationId: number, length: number, fill: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + length)
  head.writeInt32BE(correlationId, 4)
  return Buffer.concat([head, Buffer.alloc(length, fill)])
}

describe('a connection', () => {
  it('keeps each response as it was, though all read into one buffer', async () => {
    const connections = await connected(3, (id, socket) => {
      const fill = String.fromCharCode(97 + ((id * 7 + (socket.remotePort ?? 0)) % 26))
      const bytes = response(id, 300_000 + id, fill)
      for (let at = 0; at < bytes.length; at += 99_999) socket.write(bytes.subarray(at, at + 99_999))
    })
    const asked = connections.flatMap(connection => Array.from({ length: 8 }, () => ask(connection)))
    for (const [i, payload] of (await Promise.all(asked)).entries()) {
      expect(payload.length).toBe(300_000 + (i % 8))
      expect(payload.every(byte => byte === payload[0])).toBe(true)
    }
  })

  it('that ends in the middle of a response leaves nothing of it to the next', async () => {
    let asked = 0
    const [connection] = (await connected(1, (id, socket) => {
      const whole = response(id, 1_000, 'x')
      if (++asked > 1) socket.write(whole)
      else socket.end(whole.subarray(0, 500))
    })) as [Connection]
    await expect(ask(connection)).rejects.toMatchObject({ name: 'KafkaJSConnectionClosedError' })
    await connection.connect()
    expect((await ask(connection)).toString()).toBe('x'.repeat(1_000))
  })

  it('takes nothing that comes on the one before, whose other half is open still', async () => {
    const sockets: Socket[] = []
    const answer = (id: number, socket: Socket) => {
      if (!sockets.includes(socket)) sockets.push(socket)
      const [old] = sockets
      if (socket === old || old === undefined) return socket.write(response(id, 3, 'a'))
      // Half of an answer that nobody waits for.
      old.write(response(id, 8, 'b').subarray(0, 8))
      return setTimeout(() => socket.write(response(id, 3, 'c')), 50)
    }
    const [connection] = (await connected(1, answer, { allowHalfOpen: true })) as [Connection]
    expect((await ask(connection)).toString()).toBe('aaa')
    await connection.disconnect()
    await connection.connect()
    expect((await ask(connection)).toString()).toBe('ccc')
    expect(sockets).toHaveLength(2)
    for (const socket of sockets) socket.destroy()
  })

  it('to something that is no broker ends with a reason', async () => {
    const [connection] = (await connected(1, (_id, socket) => socket.write(Buffer.alloc(20, 0xff)))) as [Connection]
    await expect(ask(connection)).rejects.toThrow('a response of -1 bytes: the other end is no Kafka broker')
    const short = Buffer.from([0, 0, 0, 3, 1, 2, 3])
    const [other] = (await connected(1, (_id, socket) => socket.write(short))) as [Connection]
    await expect(ask(other)).rejects.toThrow('a response of 3 bytes: the other end is no Kafka broker')
  })

  it('that signs in is handed what comes, with its length where it is a response', async () => {
    const [connection] = (await connected(1, () => {})) as [Connection]
    const raw: Buffer[] = []
    connection.authHandlers = { onSuccess: bytes => raw.push(bytes) }
    const chunk = Buffer.from('token')
    connection.authExpectResponse = false
    connection.processData(chunk)
    chunk.fill('?')
    connection.authExpectResponse = true
    const whole = response(7, 3, 'y')
    connection.processData(whole.subarray(0, 6))
    connection.processData(whole.subarray(6))
    // Brokers without SaslAuthenticate accept credentials with an empty token.
    connection.processData(Buffer.alloc(4))
    expect(raw).toEqual([Buffer.from('token'), whole, Buffer.alloc(4)])
    connection.authHandlers = null
  })
})
