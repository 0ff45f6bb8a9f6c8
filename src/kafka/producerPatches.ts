import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSendMessages, type SendParts } from './produce.ts'
import { encodeProduceRequest, type ProduceRequest, produceRequestBytes } from './wire/encode.ts'
import { Writer } from './wire/writer.ts'

/** The mends of kafkajs's producer, in the terms of patches.ts. */

const load = createRequire(import.meta.url)

type Frame = { readonly buffer: Buffer; size(): number }
type Body = {
  readonly buffer: Buffer
  /** So many bytes before it in its memory are free. */
  readonly headroom?: number
}
type Request = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly encode: () => Promise<Body>
}

/** The length and the API's key and version, the correlation id, and the length of the client id. */
const FRAME_OVERHEAD_BYTES = 4 + 2 + 2 + 4 + 2
/** What stands before a request: enough for client ids of ordinary length. */
export const HEADROOM_BYTES = 256

/** kafkajs copies a request three times on its way out, into zeroed buffers of up to twice its size. */
export async function createFrame(to: {
  readonly correlationId: number
  readonly clientId: string | null
  readonly request: Request
}): Promise<Frame> {
  const { correlationId, clientId, request } = to
  const { buffer: body, headroom = 0 } = await request.encode()
  const name = Buffer.from(clientId ?? '')
  const frame = framed(body, headroom, FRAME_OVERHEAD_BYTES + name.length)
  let at = frame.writeInt32BE(frame.length - 4)
  at = frame.writeInt16BE(request.apiKey, at)
  at = frame.writeInt16BE(request.apiVersion, at)
  at = frame.writeInt32BE(correlationId, at)
  at = frame.writeInt16BE(clientId === null ? -1 : name.length, at)
  name.copy(frame, at)
  return { buffer: frame, size: () => frame.length }
}

/** The body behind so many bytes, where it stands if there is room before it. */
function framed(body: Buffer, headroom: number, head: number): Buffer {
  if (headroom >= head) return Buffer.from(body.buffer, body.byteOffset - head, head + body.length)
  const frame = Buffer.allocUnsafe(head + body.length)
  body.copy(frame, head)
  return frame
}

/** Who has written the last request of some batches: kafkajs hands their list on as it is. */
const writers = new WeakMap<ProduceRequest['topicData'], Writer>()

/** Takes back the memory of the request of these batches: the broker has answered, and so has read it to its end. */
function releaseRequest(topicData: ProduceRequest['topicData']): void {
  writers.get(topicData)?.release()
  writers.delete(topicData)
}

/** kafkajs makes an encoder with a buffer of its own for every part of every record, and knows no header without a value. */
function createProduceRequest(): (request: ProduceRequest) => unknown {
  const { Produce: apiKey } = load('kafkajs/src/protocol/requests/apiKeys.js') as { Produce: number }
  return request => ({
    apiKey,
    apiVersion: 3,
    apiName: 'Produce',
    expectResponse: () => request.acks !== 0,
    encode: async (): Promise<Body> => {
      const writer = new Writer(HEADROOM_BYTES + produceRequestBytes(request))
      writer.skip(HEADROOM_BYTES)
      writers.set(request.topicData, writer)
      return { buffer: encodeProduceRequest(request, Date.now(), writer), headroom: HEADROOM_BYTES }
    },
  })
}

type CoordinatorKey = { readonly groupId: string; readonly coordinatorType?: number }
const STEPS = ['initProducerId', 'addPartitionsToTxn', 'addOffsetsToTxn', 'txnOffsetCommit', 'endTxn'] as const
type Coordinator = Readonly<Record<(typeof STEPS)[number], (request: unknown) => Promise<unknown>>>

/** What kafkajs's EosManager takes of a Cluster. */
export type CoordinatorFinder = {
  readonly retry: unknown
  refreshMetadataIfNecessary(): Promise<void>
  findControllerBroker(): Promise<unknown>
  findGroupCoordinator(key: CoordinatorKey): Promise<Coordinator & { isConnected(): boolean }>
}

/** Answers of a coordinator that has done nothing because it is another's part, or not its part yet. */
const MOVED = new Set(['NOT_COORDINATOR_FOR_GROUP', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'GROUP_LOAD_IN_PROGRESS'])
const MOVED_RETRY_MS = 100
const MOVED_LIMIT_MS = 10_000

/**
 * kafkajs asks who the coordinator is before every step of a transaction, which makes five round trips of a flush, and
 * fails the transaction when it has moved. It is remembered until a step fails or its connection is gone, and looked for
 * again when it has moved.
 */
export function rememberCoordinators(cluster: CoordinatorFinder, limitMs = MOVED_LIMIT_MS) {
  const coordinators = new Map<string, Coordinator>()
  return {
    retry: cluster.retry,
    refreshMetadataIfNecessary: () => cluster.refreshMetadataIfNecessary(),
    findControllerBroker: () => cluster.findControllerBroker(),
    findGroupCoordinator: async (key: CoordinatorKey): Promise<Coordinator> => {
      const name = `${key.coordinatorType}/${key.groupId}`
      const coordinator = coordinators.get(name) ?? followCoordinator(cluster, key, limitMs)
      coordinators.set(name, coordinator)
      return coordinator
    },
  }
}

/** The coordinator of one id, whichever broker it is. */
function followCoordinator(cluster: CoordinatorFinder, key: CoordinatorKey, limitMs: number): Coordinator {
  let known: Awaited<ReturnType<CoordinatorFinder['findGroupCoordinator']>> | null = null
  const take = async (step: (typeof STEPS)[number], request: unknown) => {
    const giveUpAt = performance.now() + limitMs
    for (;;) {
      if (known?.isConnected() !== true) known = await cluster.findGroupCoordinator(key)
      try {
        return await known[step](request)
      } catch (error) {
        known = null
        const { type = '' } = error as { type?: string }
        if (!MOVED.has(type) || performance.now() > giveUpAt) throw error
        await sleep(MOVED_RETRY_MS)
      }
    }
  }
  const steps = STEPS.map(step => [step, (request: unknown) => take(step, request)] as const)
  return Object.fromEntries(steps) as Coordinator
}

export type ReplaceModule = (path: string, make: (original: never) => unknown) => void
type Response = { readonly decode: unknown }
type EosOptions<C> = { readonly cluster: C }

/** To be called before kafkajs's own index loads. */
export function mendProducer(replaceModule: ReplaceModule): void {
  replaceModule('kafkajs/src/protocol/request.js', () => createFrame)
  replaceModule('kafkajs/src/protocol/requests/produce/v3/request.js', createProduceRequest)
  // Theirs throws the error of one partition, and what became of the others is lost with it. Later versions share its parser.
  replaceModule('kafkajs/src/protocol/requests/produce/v3/response.js', ({ decode }: Response) => {
    return { decode, parse: async (response: unknown) => response }
  })
  replaceModule('kafkajs/src/producer/sendMessages.js', () => (parts: SendParts) => {
    return createSendMessages({ ...parts, onAnswered: releaseRequest })
  })
  replaceModule('kafkajs/src/producer/eosManager/index.js', (create: (options: EosOptions<unknown>) => unknown) => {
    return (options: EosOptions<CoordinatorFinder>) =>
      create({ ...options, cluster: rememberCoordinators(options.cluster) })
  })
}
