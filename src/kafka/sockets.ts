import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import { bodies } from './wire/bodyPool.ts'
import { ResponseReader } from './wire/responseReader.ts'

const KEEP_ALIVE_MS = 60_000

const readers = new WeakMap<object, ResponseReader>()

/** Who puts together the responses of a connection. */
export function readerOf(socket: object): ResponseReader {
  const known = readers.get(socket)
  if (known !== undefined) return known
  const reader = new ResponseReader()
  readers.set(socket, reader)
  return reader
}

/**
 * Connects as kafkajs does by itself, but a plain connection is read straight to where its responses stay: else Node makes a
 * new buffer for each 64 KiB at most that come, which lie about until the next collection, and long reads take thirty times the calls.
 */
export const connectSocket: ISocketFactory = connectWith(() => new ResponseReader())

/** As `connectSocket`, for who gives back the bodies of all fetches: they come to lie where they are counted. */
export const connectFetching: ISocketFactory = connectWith(() => new ResponseReader(bodies, true))

function connectWith(createReader: () => ResponseReader): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const reader = createReader()
    // Left out for a plain connection, whatever its type says; without options of its own it is an empty object.
    const isPlain = (ssl ?? null) === null
    const socket = isPlain ? openPlain(host, port, onConnect, reader) : openTls(host, port, ssl, onConnect)
    readers.set(socket, reader)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.once('close', () => reader.end())
    return socket
  }
}

function openTls(host: string, port: number, ssl: object, onConnect: () => void) {
  return connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
}

function openPlain(host: string, port: number, onConnect: () => void, reader: ResponseReader) {
  // Asked for once before `connect` returns, and then behind each call of `callback`.
  const buffer = () => reader.room
  const callback = (count: number, read: Uint8Array) => {
    socket.emit('data', read.subarray(0, count))
    return true
  }
  const socket: Socket = connect({ host, port, onread: { buffer, callback } }, onConnect)
  return socket
}
