import { createRequire } from 'node:module'
import { connect, isIP, type Socket } from 'node:net'
import type { ResponseReader } from './wire/responseReader.ts'

/** Takes some MiB in each thread that loads it: only where connections are encrypted. */
const loadTls = (): typeof import('node:tls') => createRequire(import.meta.url)('node:tls')

const KEEP_ALIVE_MS = 60_000

export type Address = {
  readonly host: string
  readonly port: number
  /** Left out, or null, for a plain connection; without options of its own it is an empty object. */
  readonly ssl?: object | null
}

/**
 * Connects as kafkajs does by itself, but a plain connection is read straight to where its responses stay: else Node makes a
 * new buffer for each 64 KiB at most that come, which lie about until the next collection, and long reads take thirty times the calls.
 * @param reader whom to give what comes, told by the socket's `data` as it comes
 */
export function openSocket(address: Address, reader: ResponseReader, onConnect: () => void): Socket {
  const { ssl = null } = address
  const socket = ssl === null ? openPlain(address, reader, onConnect) : openTls(address, ssl, onConnect)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  socket.once('close', () => reader.end())
  return socket
}

function openTls({ host, port }: Address, ssl: object, onConnect: () => void): Socket {
  return loadTls().connect({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
}

function openPlain({ host, port }: Address, reader: ResponseReader, onConnect: () => void): Socket {
  // Asked for once before `connect` returns, and then behind each call of `callback`.
  const buffer = () => reader.room
  const callback = (count: number, read: Uint8Array) => {
    socket.emit('data', read.subarray(0, count))
    return true
  }
  const socket: Socket = connect({ host, port, onread: { buffer, callback } }, onConnect)
  return socket
}
