import { createRequire } from 'node:module'
import { HEADROOM_BYTES, type ReplaceModule } from './producerPatches.ts'
import { bodies } from './wire/bodies.ts'
import { FetchedBytes } from './wire/fetchedBatch.ts'
import { encodeFetchRequest, type FetchRequest } from './wire/fetchRequest.ts'
import { FETCH_KEY } from './wire/recordSets.ts'

/** The mends of kafkajs's fetches, in the terms of patches.ts. */

const load = createRequire(import.meta.url)

type ConnectionOptions = object
type PooledConnection = { readonly requestQueue: { readonly inflight: { readonly size: number } } }
type ConnectionPoolClass = new (
  options: ConnectionOptions,
) => {
  readonly pool: PooledConnection[]
  getConnection(index?: number): Promise<PooledConnection>
  getConnectionByRequest(request: { readonly request: { readonly apiKey: number } }): Promise<PooledConnection>
}

/** Where kafkajs has the connection for fetches; that for a second one is made only when it is needed. */
const FETCHING = 1
const FETCHING_BESIDE = 2

/**
 * kafkajs has one connection for all fetches, on which a broker answers one after the other. And two requests that find a
 * connection closed both open it, so that one of the sockets is nobody's, whose end then ends the other.
 */
function fetchOnTwoConnections(Pool: ConnectionPoolClass): ConnectionPoolClass {
  const Connection = load('kafkajs/src/network/connection.js') as new (options: ConnectionOptions) => PooledConnection
  return class extends Pool {
    readonly #opening = new Map<number, Promise<PooledConnection>>()

    constructor(options: ConnectionOptions) {
      super(options)
      this.pool[FETCHING_BESIDE] = new Connection(options)
    }

    override getConnection(index = 0) {
      const opening = this.#opening.get(index) ?? super.getConnection(index).finally(() => this.#opening.delete(index))
      this.#opening.set(index, opening)
      return opening
    }

    override getConnectionByRequest(request: { readonly request: { readonly apiKey: number } }) {
      if (request.request.apiKey !== FETCH_KEY) return super.getConnectionByRequest(request)
      return this.getConnection(this.#isBusy(FETCHING) && !this.#isBusy(FETCHING_BESIDE) ? FETCHING_BESIDE : FETCHING)
    }

    #isBusy(index: number): boolean {
      return this.#opening.has(index) || (this.pool[index]?.requestQueue.inflight.size ?? 0) > 0
    }
  }
}

type Decoder = {
  readonly buffer: Buffer
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

/**
 * kafkajs makes about ten objects of a record, checks no CRC, dies of a batch that it cannot unpack, and unpacks whatever
 * size a batch says. The bytes go on as they are, to be read in place by FetchedBatch.
 */
async function keepBytes(decoder: Decoder): Promise<FetchedBytes> {
  const size = decoder.readInt32()
  const bytes = size > 0 && decoder.canReadBytes(size) ? decoder.readBytes(size) : Buffer.alloc(0)
  return new FetchedBytes(bytes, null, decoder.buffer)
}

/** Nobody hears of what a fetch has brought that kafkajs refuses because of one partition: its memory goes back at once. */
export function giveBackRefused<R>(
  parse: (response: FetchResponse) => Promise<R>,
): (response: FetchResponse) => Promise<R> {
  return async response => {
    try {
      return await parse(response)
    } catch (error) {
      const [partition] = response.responses.flatMap(({ partitions }) => partitions)
      if (partition !== undefined) bodies.giveBack(partition.messages.response)
      throw error
    }
  }
}

type FetchRequests = {
  readonly versions: unknown
  readonly protocol: (version: object) => (options: object) => FetchExchange
}
type FetchExchange = { readonly response: { readonly decode: Decode } }
type Decode = (payload: Buffer) => Promise<FetchResponse>

/** Nobody hears of a response that cannot be taken apart, or that tells of no partition. */
export function giveBackUnheard(decode: Decode): Decode {
  return async payload => {
    let response: FetchResponse | null = null
    try {
      response = await decode(payload)
      return response
    } finally {
      const isHeard = response?.responses.some(({ partitions }) => partitions.length > 0) ?? false
      if (!isHeard) bodies.giveBack(payload)
    }
  }
}

function giveBackOfAll({ versions, protocol }: FetchRequests): FetchRequests {
  return {
    versions,
    protocol: version => options => {
      const exchange = protocol(version)(options)
      const { response } = exchange
      return { ...exchange, response: { ...response, decode: giveBackUnheard(response.decode) } }
    },
  }
}

/** kafkajs makes a zeroed buffer of its own for each partition, and an object of each offset. */
function createFetchRequest(): (request: FetchRequest) => unknown {
  return request => ({
    ...{ apiKey: FETCH_KEY, apiVersion: 11, apiName: 'Fetch' },
    encode: async () => ({ buffer: encodeFetchRequest(request, HEADROOM_BYTES), headroom: HEADROOM_BYTES }),
  })
}

type FetchVersion = {
  readonly decode: unknown
  readonly parse: (response: FetchResponse) => Promise<unknown>
}
type FetchResponse = {
  readonly responses: readonly { readonly partitions: readonly { errorCode: number; messages: FetchedBytes }[] }[]
}

/**
 * What a broker answers that cannot read its own log, or not in a form that we know; the first when it did not expect it.
 * Which one a damaged batch gets is a matter of the bytes around it.
 */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [-1, 'UNKNOWN_SERVER_ERROR'],
  [2, 'CORRUPT_MESSAGE'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE'],
  [87, 'INVALID_RECORD'],
])

/**
 * One partition that the broker cannot read makes kafkajs fail the fetch of all, and then the consumer. It becomes a fetch
 * that brought nothing but the reason.
 */
export function isolateRefusals<R>(
  parse: (response: FetchResponse) => Promise<R>,
): (response: FetchResponse) => Promise<R> {
  return response => {
    for (const partition of response.responses.flatMap(({ partitions }) => partitions)) {
      const answer = REFUSALS.get(partition.errorCode)
      if (answer === undefined) continue
      partition.errorCode = 0
      const reason = `the broker cannot read it: ${answer}`
      partition.messages = new FetchedBytes(Buffer.alloc(0), reason, partition.messages.response)
    }
    return parse(response)
  }
}

/** To be called before kafkajs's requests are loaded. */
export function mendFetch(replaceModule: ReplaceModule): void {
  replaceModule('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js', () => keepBytes)
  // All versions of the response share the parser of the first.
  replaceModule('kafkajs/src/protocol/requests/fetch/v0/response.js', ({ decode, parse }: FetchVersion) => {
    return { decode, parse: giveBackRefused(isolateRefusals(parse)) }
  })
  replaceModule('kafkajs/src/protocol/requests/fetch/v11/request.js', createFetchRequest)
  replaceModule('kafkajs/src/protocol/requests/fetch/index.js', giveBackOfAll)
}

/** To be called when what connections are made of is mended, and no pool of them loaded yet. */
export function mendConnectionPool(replaceModule: ReplaceModule): void {
  replaceModule('kafkajs/src/network/connectionPool.js', fetchOnTwoConnections)
}
