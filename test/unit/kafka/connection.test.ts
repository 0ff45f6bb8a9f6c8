import { createRequire } from 'node:module'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { ISocketFactory } from 'kafkajs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { KERNEL_BODIES } from '../../../src/events/kernel.ts'
import '../../../src/kafka/patches.ts'
import { giveBackRefused } from '../../../src/kafka/fetchPatches.ts'
import { connectFetching, connectSocket } from '../../../src/kafka/sockets.ts'
import { bodies, places } from '../../../src/kafka/wire/bodies.ts'
import { FetchedBytes } from '../../../src/kafka/wire/fetchedBatch.ts'
import { batchBytes, record } from './wire/batchBytes.ts'

const load = createRequire(import.meta.url)
const Connection = load('kafkajs/src/network/connection.js')
const ConnectionPool = load('kafkajs/src/network/connectionPool.js')
const Encoder = load('kafkajs/src/protocol/encoder.js')

type Connection = {
  connect(): Promise<void>
  isConnected(): boolean
  disconnect(): Promise<void>
  send(exchange: object): Promise<Buffer>
  authHandlers: { onSuccess(raw: Buffer): void } | null
  authExpectResponse: boolean
  requestQueue: { rejectAll(error: Error): void }
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

type Answer = (correlationId: number, socket: Socket) => void
type GivenOptions = { readonly allowHalfOpen?: boolean; readonly socketFactory?: ISocketFactory }

/** A server that is handed the correlation id of each request, and how kafkajs connects to it. */
async function serving(answer: Answer, { allowHalfOpen = false, socketFactory = connectSocket }: GivenOptions = {}) {
  const server = createServer({ allowHalfOpen }, socket => {
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
      socketFactory,
    },
    ...{ requestTimeout: 5_000, connectionTimeout: 1_000, enforceRequestTimeout: true },
  }
  return { server, options }
}

/** `count` connections to a server as kafkajs makes them. */
async function connected(count: number, answer: Answer, given: GivenOptions = {}): Promise<Connection[]> {
  const { server, options } = await serving(answer, given)
  const connections = Array.from({ length: count }, () => new Connection(options) as Connection)
  open.push({ server, connections })
  await Promise.all(connections.map(connection => connection.connect()))
  return connections
}

const METADATA = 3
const FETCH = 1
const FETCH_VERSION = 11

const fetchRequest = (apiVersion: number) => ({
  ...{ apiKey: FETCH, apiVersion, apiName: 'Fetch' },
  encode: async () => new Encoder(),
})

const ask = (connection: Pick<Connection, 'send'>, apiKey = METADATA, apiVersion = 0) =>
  connection.send({
    request: { apiKey, apiVersion, apiName: String(apiKey), encode: async () => new Encoder() },
    response: { decode: async (payload: Buffer) => payload, parse: async (payload: Buffer) => payload },
  })

/** A whole response: its length, the correlation id, and as many bytes of one kind. */
function response(correlationId: number, length: number, fill: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + length)
  head.writeInt32BE(correlationId, 4)
  return Buffer.concat([head, Buffer.alloc(length, fill)])
}

/** What a fetch of FETCH_VERSION answers of one partition, behind its correlation id. */
function fetchOf(records: Buffer): Buffer {
  const head = Buffer.alloc(4 + 2 + 4 + 4 + 3 + 4 + 4 + 2 + 24 + 4 + 4 + 4)
  head.writeInt32BE(1, 10)
  head.write('\0\x01t', 14)
  head.writeInt32BE(1, 17)
  head.writeInt32BE(records.length, head.length - 4)
  return Buffer.concat([head, records])
}

function withId(correlationId: number, rest: Buffer): Buffer {
  const whole = response(correlationId, rest.length, '-')
  rest.copy(whole, 8)
  return whole
}

describe.each([
  ['a connection', connectSocket],
  ['a connection that another thread has', connectFetching],
])('%s', (_name, socketFactory) => {
  it('keeps each response as it was, though all read into one buffer', async () => {
    const connections = await connected(
      3,
      (id, socket) => {
        const fill = String.fromCharCode(97 + ((id * 7 + (socket.remotePort ?? 0)) % 26))
        const bytes = response(id, 300_000 + id, fill)
        for (let at = 0; at < bytes.length; at += 99_999) socket.write(bytes.subarray(at, at + 99_999))
      },
      { socketFactory },
    )
    const asked = connections.flatMap(connection => Array.from({ length: 8 }, () => ask(connection)))
    for (const [i, payload] of (await Promise.all(asked)).entries()) {
      expect(payload.length).toBe(300_000 + (i % 8))
      expect(payload.every(byte => byte === payload[0])).toBe(true)
    }
  })

  it('that ends in the middle of a response leaves nothing of it to the next', async () => {
    let asked = 0
    const [connection] = (await connected(
      1,
      (id, socket) => {
        const whole = response(id, 1_000, 'x')
        if (++asked > 1) socket.write(whole)
        else socket.end(whole.subarray(0, 500))
      },
      { socketFactory },
    )) as [Connection]
    await expect(ask(connection)).rejects.toMatchObject({ name: 'KafkaJSConnectionClosedError' })
    await connection.connect()
    expect((await ask(connection)).toString()).toBe('x'.repeat(1_000))
  })

  it.each([
    // Half of an answer that nobody waits for.
    { what: 'what comes', does: (old: Socket) => void old.write(response(7, 8, 'b').subarray(0, 8)) },
    { what: 'the end', does: (old: Socket) => void old.end() },
    { what: 'the failure', does: (old: Socket) => void old.resetAndDestroy() },
  ])('takes not for its own $what of the one before, whose other half is open still', async ({ does }) => {
    const sockets: Socket[] = []
    const answer = (id: number, socket: Socket) => {
      if (!sockets.includes(socket)) sockets.push(socket)
      const [old] = sockets
      if (socket === old || old === undefined) return socket.write(response(id, 3, 'a'))
      does(old)
      return setTimeout(() => socket.write(response(id, 3, 'c')), 50)
    }
    const [connection] = (await connected(1, answer, { allowHalfOpen: true, socketFactory })) as [Connection]
    expect((await ask(connection)).toString()).toBe('aaa')
    await connection.disconnect()
    await connection.connect()
    expect((await ask(connection)).toString()).toBe('ccc')
    expect(sockets).toHaveLength(2)
    for (const socket of sockets) socket.destroy()
  })

  it('that ends before it is there says so', async () => {
    const toNobody: ISocketFactory = options => {
      const socket = socketFactory({ ...options, port: 1 })
      socket.end()
      return socket
    }
    await expect(connected(1, () => {}, { socketFactory: toNobody })).rejects.toMatchObject({
      name: 'KafkaJSConnectionError',
    })
  })

  it('to something that is no broker ends with a reason', async () => {
    const [connection] = (await connected(1, (_id, socket) => socket.write(Buffer.alloc(20, 0xff)), {
      socketFactory,
    })) as [Connection]
    await expect(ask(connection)).rejects.toThrow('a response of -1 bytes: the other end is no Kafka broker')
    const short = Buffer.from([0, 0, 0, 3, 1, 2, 3])
    const [other] = (await connected(1, (_id, socket) => socket.write(short), { socketFactory })) as [Connection]
    await expect(ask(other)).rejects.toThrow('a response of 3 bytes: the other end is no Kafka broker')
  })

  it('that is there only after it was ended is not taken for connected', async () => {
    const { server, options } = await serving(() => {}, { socketFactory })
    const connection = new Connection({ ...options, connectionTimeout: 50 }) as Connection
    open.push({ server, connections: [connection] })
    const endsAtOnce: ISocketFactory = given => {
      const socket = socketFactory(given)
      socket.end()
      return socket
    }
    Object.assign(connection, { socketFactory: endsAtOnce })
    const accepted = new Promise(resolve => server.once('connection', resolve))
    await expect(connection.connect()).rejects.toMatchObject({ name: 'KafkaJSConnectionError' })
    await accepted
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(connection.isConnected()).toBe(false)
    Object.assign(connection, { socketFactory })
    await connection.connect()
    expect(connection.isConnected()).toBe(true)
  })

  it('to a port that can be none is refused', async () => {
    const nowhere: ISocketFactory = options => socketFactory({ ...options, port: 99_999 })
    await expect(connected(1, () => {}, { socketFactory: nowhere })).rejects.toMatchObject({
      name: 'KafkaJSConnectionError',
      message: expect.stringContaining('99999'),
    })
  })
})

describe('a connection', () => {
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

describe('a connection that fetches', () => {
  const LARGE = 200_000
  const isPlaced = (bytes: Buffer) => bytes.buffer === KERNEL_BODIES[0]?.buffer
  const freePlaces = () => {
    const taken = KERNEL_BODIES.map(() => bodies.takePlace(LARGE)).filter(isPlaced)
    for (const body of taken.toReversed()) bodies.giveBack(body)
    return taken.length
  }

  it('has fetches come to lie in the kernel, for who gives them back, and nothing else', async () => {
    const answer: Answer = (id, socket) => socket.write(response(id, LARGE, 'f'))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    const fetched = await ask(connection, FETCH)
    expect([isPlaced(fetched), fetched.length, freePlaces()]).toEqual([true, LARGE, KERNEL_BODIES.length - 1])
    const metadata = await ask(connection)
    expect([isPlaced(metadata), metadata.length, freePlaces()]).toEqual([false, LARGE, KERNEL_BODIES.length - 1])
    bodies.giveBack(fetched)
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    expect(metadata.every(byte => byte === 'f'.charCodeAt(0))).toBe(true)
  })

  it('is told of record batches that are sound', async () => {
    const batches = [batchBytes([record(0, 'x'.repeat(LARGE))]), batchBytes([record(1)])]
    const sets = fetchOf(Buffer.concat(batches))
    const answer: Answer = (id, socket) => socket.write(withId(id, sets))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    const whole = await ask(connection, FETCH, FETCH_VERSION)
    const records = whole.subarray(whole.length - Buffer.concat(batches).length)
    const starts = [0, (batches[0] as Buffer).length]
    expect(starts.map(start => places.isSound(records, start))).toEqual([true, true])
    bodies.giveBack(whole)
    // What says nothing of its fetches is taken for none.
    const other = await ask(connection, FETCH, 99)
    expect(starts.map(start => places.isSound(other.subarray(-records.length), start))).toEqual([false, false])
    bodies.giveBack(other)
  })

  it('fails with its thread, and the next one has another', async () => {
    const posted = vi.spyOn(Worker.prototype, 'postMessage')
    const answer: Answer = (id, socket) => socket.write(response(id, LARGE, 'f').subarray(0, LARGE / 2))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    const asked = ask(connection, FETCH)
    const failed = expect(asked).rejects.toThrow('the thread that has the sockets has ended')
    await vi.waitFor(() => expect(freePlaces()).toBe(KERNEL_BODIES.length - 1))
    await (posted.mock.contexts[0] as Worker).terminate()
    posted.mockRestore()
    await failed
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    const [next] = (await connected(1, (id, socket) => socket.write(response(id, 3, 'n')), {
      socketFactory: connectFetching,
    })) as [Connection]
    expect((await ask(next)).toString()).toBe('nnn')
  })

  it('is read in vain once it was ended: the place is free again', async () => {
    const late: (() => void)[] = []
    const answer: Answer = (id, socket) => late.push(() => socket.write(response(id, LARGE, 'l')))
    const [connection] = (await connected(1, answer, { allowHalfOpen: true, socketFactory: connectFetching })) as [
      Connection,
    ]
    const failed = expect(ask(connection, FETCH)).rejects.toThrow()
    await vi.waitFor(() => expect(late).toHaveLength(1))
    connection.requestQueue.rejectAll(new Error('nobody waits'))
    await failed
    await connection.disconnect()
    late[0]?.()
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
  })

  it('gives back the place of what kafkajs refuses', async () => {
    const body = bodies.takePlace(LARGE)
    // Nothing of the first came, which is of the same response.
    const messages = [Buffer.alloc(0), body.subarray(100, 200)].map(bytes => new FetchedBytes(bytes, null, body))
    const fetched = { responses: [{ partitions: messages.map(each => ({ errorCode: 0, messages: each })) }] }
    await expect(giveBackRefused(async () => 'parsed')(fetched)).resolves.toBe('parsed')
    expect(freePlaces()).toBe(KERNEL_BODIES.length - 1)
    const refuse = giveBackRefused(async () => {
      throw new Error('refused')
    })
    await expect(refuse(fetched)).rejects.toThrow('refused')
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    await expect(refuse({ responses: [] })).rejects.toThrow('refused')
  })

  it('gives back the place of what cannot be taken apart, or tells of no partition', async () => {
    const { protocol } = load('kafkajs/src/protocol/requests/fetch/index.js')
    const { response: fetched } = protocol({ version: FETCH_VERSION })({ maxWaitTime: 1, topics: [] })
    const send = (connection: Connection) =>
      connection.send({ request: fetchRequest(FETCH_VERSION), response: fetched })
    const [broken, bare] = [Buffer.alloc(LARGE, 0x7f), fetchOf(Buffer.alloc(LARGE))]
    bare.fill(0, 10, 14)
    const answers = [broken, bare, fetchOf(Buffer.alloc(LARGE))]
    const answer: Answer = (id, socket) => socket.write(withId(id, answers[id] as Buffer))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    await expect(send(connection)).rejects.toThrow()
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    await expect(send(connection)).resolves.toMatchObject({ responses: [] })
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    const { responses } = (await send(connection)) as unknown as {
      responses: { partitions: { messages: FetchedBytes }[] }[]
    }
    expect(freePlaces()).toBe(KERNEL_BODIES.length - 1)
    bodies.giveBack(responses[0]?.partitions[0]?.messages.response as Buffer)
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
  })

  it('gives back the place of what a sign-in is answered', async () => {
    const answer: Answer = (id, socket) => socket.write(response(id, LARGE, 't'))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    const asked = ask(connection)
    const raw = await new Promise<Buffer>(onSuccess => {
      connection.authHandlers = { onSuccess }
      connection.authExpectResponse = true
    })
    expect([raw.length, raw.subarray(8).every(byte => byte === 't'.charCodeAt(0))]).toEqual([LARGE + 8, true])
    expect(freePlaces()).toBe(KERNEL_BODIES.length)
    connection.authHandlers = null
    connection.requestQueue.rejectAll(new Error('nobody waits'))
    await expect(asked).rejects.toThrow('nobody waits')
  })

  it('gives back the place of what ends halfway', async () => {
    const answer: Answer = (id, socket) => socket.write(response(id, LARGE, 'h').subarray(0, LARGE / 2))
    const [connection] = (await connected(1, answer, { socketFactory: connectFetching })) as [Connection]
    const asked = ask(connection, FETCH)
    const failed = expect(asked).rejects.toThrow()
    await vi.waitFor(() => expect(freePlaces()).toBe(KERNEL_BODIES.length - 1))
    await connection.disconnect()
    await failed
    await vi.waitFor(() => expect(freePlaces()).toBe(KERNEL_BODIES.length))
  })
})

describe('the connections to one broker', () => {
  it('are two for fetches, each opened once and when it is needed, and one for all else', async () => {
    const sockets: Socket[] = []
    const waiting: (() => void)[] = []
    const answer: Answer = (id, socket) => {
      if (!sockets.includes(socket)) sockets.push(socket)
      waiting.push(() => socket.write(response(id, 1, String(sockets.indexOf(socket)))))
    }
    const { server, options } = await serving(answer)
    let accepted = 0
    server.on('connection', () => accepted++)
    const pool = new ConnectionPool(options)
    open.push({ server, connections: pool.pool })
    const answerAll = async (asked: Promise<Buffer>[]) => {
      await vi.waitFor(() => expect(waiting).toHaveLength(asked.length))
      for (const each of waiting.splice(0)) each()
      return (await Promise.all(asked)).map(String)
    }
    expect(await answerAll([ask(pool), ask(pool)])).toEqual(['0', '0'])
    expect(accepted).toBe(1)
    expect(await answerAll([ask(pool, FETCH)])).toEqual(['1'])
    expect(await answerAll([ask(pool, FETCH), ask(pool)])).toEqual(['1', '0'])
    expect(accepted).toBe(2)
    const first = ask(pool, FETCH)
    await vi.waitFor(() => expect(waiting).toHaveLength(1))
    expect(await answerAll([first, ask(pool, FETCH)])).toEqual(['1', '2'])
    expect(accepted).toBe(3)
  })
})
