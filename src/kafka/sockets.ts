import type { Socket } from 'node:net'
import type { ISocketFactory } from 'kafkajs'
import { openSocket } from './openSocket.ts'
import { openInThread } from './threadSocket.ts'
import { bodies } from './wire/bodies.ts'
import { ResponseReader } from './wire/responseReader.ts'

/** Puts together the responses of a connection. */
type Reader = Pick<ResponseReader, 'take'>

const readers = new WeakMap<object, Reader>()

/** Who puts together the responses of a connection. */
export function readerOf(socket: object): Reader {
  const known = readers.get(socket)
  if (known !== undefined) return known
  const reader = new ResponseReader(bodies)
  readers.set(socket, reader)
  return reader
}

/** A connection whose responses stand in memory of their own. */
export const connectSocket: ISocketFactory = options => {
  const reader = new ResponseReader(bodies)
  const socket = openSocket(options, reader, options.onConnect)
  readers.set(socket, reader)
  return socket
}

/** What comes of a socket that another thread has is a response each. */
const WHOLE: Reader = {
  take: (chunk, onResponse) => onResponse(chunk as Buffer),
}

/**
 * As `connectSocket`, for who gives back the bodies of all fetches: another thread reads them to where they are counted, and
 * checks them there.
 */
export const connectFetching: ISocketFactory = options => {
  const socket = openInThread(options, options.onConnect)
  readers.set(socket, WHOLE)
  // It has what kafkajs asks of one.
  return socket as unknown as Socket
}
