import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { kafkajs } from '../../../src/kafka/patches.ts'
import { type CoordinatorFinder, createFrame, rememberCoordinators } from '../../../src/kafka/producerPatches.ts'

const load = createRequire(import.meta.url)
const SRC = 'kafkajs/src'
const Encoder = load(`${SRC}/protocol/encoder.js`)

describe('a request on its way out', () => {
  it.each(['tidemark', 'ü', '', null])('of client %j is laid out as kafkajs lays it out', async clientId => {
    const { buffer: body } = new Encoder().writeString('body')
    const request = { apiKey: 22, apiVersion: 3, encode: async () => ({ buffer: body }) }
    const theirs = new Encoder().writeInt16(22).writeInt16(3).writeInt32(7).writeString(clientId).writeBuffer(body)
    const frame = await createFrame({ correlationId: 7, clientId, request })
    expect(frame.buffer).toEqual(new Encoder().writeInt32(theirs.size()).writeEncoder(theirs).buffer)
    expect(frame.size()).toBe(frame.buffer.length)
  })
})

describe('a produce request', () => {
  it('stays as it was written while others are written', async () => {
    expect(kafkajs.CompressionTypes.None).toBe(0)
    const create = load(`${SRC}/protocol/requests/produce/v3/request.js`)
    const encode = (value: string) =>
      create({
        acks: -1,
        timeout: 1,
        topicData: [{ topic: 't', partitions: [{ partition: 0, messages: [{ value }] }] }],
      })
    const [first, second] = await Promise.all([encode('first').encode(), encode('other').encode()])
    expect([first.buffer.includes('first'), second.buffer.includes('other')]).toEqual([true, true])
  })

  it.each(['v3', 'v5', 'v7'])(
    'of version %s brings what became of each partition, also of those beside a refused one',
    async version => {
      const { decode, parse } = load(`${SRC}/protocol/requests/produce/${version}/response.js`)
      const answer = new Encoder().writeInt32(1).writeString('t').writeInt32(2)
      for (const [partition, errorCode] of [
        [0, 0],
        [1, 6],
      ] as const) {
        answer
          .writeInt32(partition)
          .writeInt16(errorCode)
          .writeInt64(40 + partition)
          .writeInt64(-1)
        if (version !== 'v3') answer.writeInt64(0)
      }
      const { topics } = await parse(await decode(answer.writeInt32(0).buffer))
      expect(topics).toMatchObject([
        {
          topicName: 't',
          partitions: [
            { partition: 0, errorCode: 0, baseOffset: '40' },
            { partition: 1, errorCode: 6 },
          ],
        },
      ])
    },
  )
})

describe('a coordinator', () => {
  const refusal = (type: string) => Object.assign(new Error(type), { type })
  const KEY = { groupId: 'id', coordinatorType: 1 }

  /** Finds brokers 1, 2, 3, …; each answers with its number, or throws the error that stands for it. */
  function finder(failures: readonly (Error | null)[] = []) {
    const state = { found: 0, connected: true }
    const cluster: CoordinatorFinder = {
      retry: {},
      refreshMetadataIfNecessary: async () => {},
      findControllerBroker: async () => null,
      findGroupCoordinator: async () => {
        const number = ++state.found
        const answer = async () => {
          const failure = failures[number - 1]
          if (failure) throw failure
          return number
        }
        const steps = { initProducerId: answer, addPartitionsToTxn: answer, addOffsetsToTxn: answer }
        return { ...steps, txnOffsetCommit: answer, endTxn: answer, isConnected: () => state.connected }
      },
    }
    return { state, cluster }
  }

  it('is looked for once, for each id and kind', async () => {
    const { cluster, state } = finder()
    const remembered = rememberCoordinators(cluster)
    for (let i = 0; i < 3; i++) {
      const coordinator = await remembered.findGroupCoordinator(KEY)
      expect([await coordinator.addPartitionsToTxn({}), await coordinator.endTxn({})]).toEqual([1, 1])
    }
    const group = await remembered.findGroupCoordinator({ groupId: 'id', coordinatorType: 0 })
    expect(await group.txnOffsetCommit({})).toBe(2)
    expect(state.found).toBe(2)
  })

  it('that has moved is looked for anew and asked again, within the time', async () => {
    const moved = refusal('NOT_COORDINATOR_FOR_GROUP')
    const coordinator = await rememberCoordinators(finder([moved]).cluster).findGroupCoordinator(KEY)
    expect(await coordinator.endTxn({})).toBe(2)
    const always = rememberCoordinators(finder(Array.from({ length: 9 }, () => moved)).cluster, 150)
    await expect((await always.findGroupCoordinator(KEY)).endTxn({})).rejects.toBe(moved)
  })

  it('that fails otherwise is not asked again, but looked for at the next step', async () => {
    const fenced = refusal('INVALID_PRODUCER_EPOCH')
    const { cluster, state } = finder([fenced])
    const coordinator = await rememberCoordinators(cluster).findGroupCoordinator(KEY)
    await expect(coordinator.endTxn({})).rejects.toBe(fenced)
    expect(state.found).toBe(1)
    expect(await coordinator.endTxn({})).toBe(2)
  })

  it('whose connection is gone is looked for anew', async () => {
    const { cluster, state } = finder()
    const coordinator = await rememberCoordinators(cluster).findGroupCoordinator(KEY)
    await coordinator.addPartitionsToTxn({})
    state.connected = false
    expect(await coordinator.endTxn({})).toBe(2)
  })

  it('is remembered by kafkajs', () => {
    const create = load(`${SRC}/producer/eosManager/index.js`)
    let asked = 0
    const cluster = {
      retry: { retries: 0 },
      refreshMetadataIfNecessary: async () => {},
      findGroupCoordinator: async () => {
        asked++
        const steps = {
          initProducerId: async () => ({ producerId: 1, producerEpoch: 0 }),
          addPartitionsToTxn: async () => {},
          endTxn: async () => {},
        }
        return { ...steps, isConnected: () => true }
      },
    }
    const logger = { debug() {} }
    const manager = create({ logger, cluster, transactional: true, transactionalId: 'id' })
    return manager.initProducerId().then(async () => {
      manager.beginTransaction()
      await manager.addPartitionsToTransaction([{ topic: 't', partitions: [{ partition: 0 }] }])
      await manager.commit()
      expect(asked).toBe(1)
    })
  })
})
