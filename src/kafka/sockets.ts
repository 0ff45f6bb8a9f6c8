import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'

const KEEP_ALIVE_MS = 60_000
/** What all plain connections read into: who is told of bytes takes them over at once. */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024)

/**
 * Connects as kafkajs does by itself, but reads into one buffer: else Node makes a new one for each 64 KiB at most that
 * come, which lie about until the next collection, and long reads take four times the calls.
 */
export const connectSocket: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  // Left out for a plain connection, whatever its type says; without options of its own it is an empty object.
  const isPlain = (ssl ?? null) === null
  const socket = isPlain ? openPlain(host, port, onConnect) : openTls(host, port, ssl, onConnect)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  return socket
}

function openTls(host: string, port: number, ssl: object, onConnect: () => void) {
  return connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
}

function openPlain(host: string, port: number, onConnect: () => void) {
  const callback = (count: number) => {
    socket.emit('data', READ_BUFFER.subarray(0, count))
    return true
  }
  const socket = connect({ host, port, onread: { buffer: READ_BUFFER, callback } }, onConnect)
  return socket
}
