import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { bodiesIn, instantiateKernel } from '../events/kernelInstance.ts'
import { LAYOUT } from '../events/kernelLayout.ts'
import { type Address, openSocket } from './openSocket.ts'
import type { SocketNews, SocketRequest, ThreadStart } from './threadMessages.ts'
import { BodyPool } from './wire/bodyPool.ts'
import { Checksums } from './wire/checksum.ts'
import { NO_PLACE, Places } from './wire/places.ts'
import { FETCH_KEY, findRecordSets } from './wire/recordSets.ts'
import { ResponseReader } from './wire/responseReader.ts'
import { findSound } from './wire/soundBatches.ts'

/**
 * The thread that has the connections of a group's consumer. It reads responses to where they are counted, and checks
 * the record batches of fetches there, while the main thread counts others.
 */

/** Of a request: its length i32, its kind i16, the version of that i16, and the correlation id i32. */
const [KIND_AT, VERSION_AT, CORRELATION_ID_AT, REQUEST_BYTES] = [4, 6, 8, 12]

type OpenSocket = {
  readonly socket: Socket
  /** By correlation id, the versions of fetches that are under way. */
  readonly fetches: Map<number, number>
}

const { memory, states } = workerData as ThreadStart
const kernel = instantiateKernel(memory)
const checksums = new Checksums(kernel, memory, LAYOUT.THREAD_FOLDED, LAYOUT.THREAD_INPUT)
const places = new Places(bodiesIn(memory), states, true)
const pool = new BodyPool(places)
const open = new Map<number, OpenSocket>()

function tell(news: SocketNews, transferred: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(news, transferred)
}

function connectTo(id: number, address: Address): void {
  const reader = new ResponseReader(pool, true)
  const fetches = new Map<number, number>()
  const onResponse = (response: Buffer) => tellOf(id, response, fetches)
  const socket = openSocket(address, reader, () => tell({ what: 'connect', id }))
  open.set(id, { socket, fetches })
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.take(chunk, onResponse)
    } catch (error) {
      socket.destroy(error as Error)
    }
  })
  socket.on('end', () => tell({ what: 'end', id }))
  socket.on('error', error => tellError(id, error))
  socket.on('close', () => {
    open.delete(id)
    tell({ what: 'close', id })
  })
}

function tellError(id: number, { message, code }: NodeJS.ErrnoException): void {
  tell({ what: 'error', id, message, code })
}

function tellOf(id: number, response: Buffer, fetches: Map<number, number>): void {
  const place = pool.placeOf(response)
  const correlationId = response.length < 4 ? -1 : response.readInt32BE(0)
  const version = fetches.get(correlationId)
  fetches.delete(correlationId)
  if (place === NO_PLACE) {
    const bytes = new Uint8Array(response)
    if (response.length > 0) pool.giveBack(response)
    tell({ what: 'response', id, bytes }, [bytes.buffer])
    return
  }
  if (version !== undefined) checkFetch(place, response, version)
  places.lend(place)
  tell({ what: 'placed', id, place, size: response.length })
}

function checkFetch(place: number, response: Buffer, version: number): void {
  findRecordSets(response, version, (start, end) => {
    const records = response.subarray(start, end)
    findSound(records, kernel, checksums, at => places.tellSound(place, records.byteOffset + at))
  })
}

function write({ socket, fetches }: OpenSocket, bytes: Uint8Array): void {
  const request = Buffer.from(bytes.buffer)
  // A token of a sign-in may be anything.
  if (request.length >= REQUEST_BYTES && request.readInt16BE(KIND_AT) === FETCH_KEY) {
    fetches.set(request.readInt32BE(CORRELATION_ID_AT), request.readInt16BE(VERSION_AT))
  }
  socket.write(request)
}

parentPort?.on('message', (request: SocketRequest) => {
  const { what, id } = request
  if (what === 'open') {
    try {
      connectTo(id, request.address)
    } catch (error) {
      // A port or a certificate that can be none.
      tellError(id, error as Error)
      tell({ what: 'close', id })
    }
    return
  }
  const known = open.get(id)
  if (known === undefined) return
  if (what === 'write') write(known, request.bytes)
  else if (what === 'end') known.socket.end()
  else known.socket.destroy()
})
