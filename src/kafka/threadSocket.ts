import { EventEmitter } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { dirname, extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { KERNEL_MEMORY } from '../events/kernel.ts'
import type { Address } from './openSocket.ts'
import type { SocketNews, SocketRequest, ThreadStart } from './threadMessages.ts'
import { bodies, PLACE_STATES, places } from './wire/bodies.ts'

/** A socket that another thread has, with what a connection of kafkajs asks of one. `data` is a whole response, without its length. */
export class ThreadSocket extends EventEmitter {
  readonly #id: number
  readonly #thread: SocketThread
  #isEnded = false
  #isDestroyed = false

  constructor(id: number, thread: SocketThread) {
    super()
    this.#id = id
    this.#thread = thread
  }

  get writableEnded(): boolean {
    return this.#isEnded
  }

  write(bytes: Uint8Array): void {
    if (!this.#isEnded && !this.#isDestroyed) this.#thread.write(this.#id, bytes)
  }

  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#thread.ask({ what: 'end', id: this.#id })
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#thread.ask({ what: 'destroy', id: this.#id })
    if (error !== undefined) process.nextTick(() => this.emit('error', error))
  }

  unref(): void {
    this.#thread.letGo(this.#id)
  }

  /** What has become of it there. */
  heard(news: SocketNews): void {
    if (news.what === 'placed') this.#heardResponse(places.bytes(news.place, news.size))
    else if (news.what === 'response') this.#heardResponse(Buffer.from(news.bytes.buffer))
    else if (news.what === 'error') this.failed(Object.assign(new Error(news.message), { code: news.code }))
    else if (news.what === 'close' || !this.#isDestroyed) this.emit(news.what)
  }

  failed(error: Error): void {
    if (!this.#isDestroyed) this.emit('error', error)
  }

  #heardResponse(response: Buffer): void {
    if (this.#isEnded || this.#isDestroyed) bodies.giveBack(response)
    else this.emit('data', response)
  }
}

/** What `enableCompileCache` turned on for this thread holds for another only if its environment says so. */
function withCompileCache(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir()
  // Behind the one that is asked for stands the version of Node.
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(folder) }
}

const EXTENSION = extname(import.meta.url)

class SocketThread {
  readonly #worker: Worker
  readonly #sockets = new Map<number, ThreadSocket>()
  /** The process stays for these. */
  readonly #held = new Set<number>()
  #lastId = 0

  /** @param onEnd called when it has ended by itself: its sockets have failed */
  constructor(onEnd: () => void) {
    const workerData: ThreadStart = { memory: KERNEL_MEMORY, states: PLACE_STATES }
    this.#worker = new Worker(new URL(`./socketThread${EXTENSION}`, import.meta.url), {
      workerData,
      env: withCompileCache(),
    })
    this.#worker.on('message', (news: SocketNews) => this.#heard(news))
    this.#worker.on('error', error => this.#failAll(error))
    this.#worker.on('exit', () => {
      onEnd()
      this.#failAll(new Error('the thread that has the sockets has ended'))
    })
    this.#worker.unref()
  }

  open(address: Address, onConnect: () => void): ThreadSocket {
    const id = ++this.#lastId
    const { host, port, ssl = null } = address
    // First, for it throws when something of it cannot be handed to a thread.
    this.ask({ what: 'open', id, address: { host, port, ssl } })
    const socket = new ThreadSocket(id, this)
    socket.once('connect', onConnect)
    this.#sockets.set(id, socket)
    this.#held.add(id)
    this.#worker.ref()
    return socket
  }

  write(id: number, bytes: Uint8Array): void {
    const copy = new Uint8Array(bytes)
    this.#worker.postMessage({ what: 'write', id, bytes: copy } satisfies SocketRequest, [copy.buffer])
  }

  ask(request: SocketRequest): void {
    this.#worker.postMessage(request)
  }

  letGo(id: number): void {
    this.#held.delete(id)
    if (this.#held.size === 0) this.#worker.unref()
  }

  #heard(news: SocketNews): void {
    const socket = this.#sockets.get(news.id)
    if (news.what === 'close') {
      this.letGo(news.id)
      this.#sockets.delete(news.id)
    }
    if (socket !== undefined) socket.heard(news)
    else if (news.what === 'placed') places.giveBack(news.place)
  }

  #failAll(error: Error): void {
    places.takeBackFilling()
    for (const [id, socket] of this.#sockets) {
      socket.failed(error)
      this.#heard({ what: 'close', id })
    }
  }
}

let thread: SocketThread | null = null

/** Opens a connection that another thread has. */
export function openInThread(address: Address, onConnect: () => void): ThreadSocket {
  thread ??= new SocketThread(() => {
    thread = null
  })
  return thread.open(address, onConnect)
}
