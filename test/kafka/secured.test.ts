import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { lanesOfTopic } from '../../src/kafka/lanes.ts'
import { createMembership } from '../../src/kafka/membership.ts'
import { connectFetching } from '../../src/kafka/sockets.ts'
import { withAdmin } from '../../src/kafka/topics.ts'

const [USER, PASSWORD] = ['app', 'right']
/** Of each partition so many requests of so many records, each request nearly as much as a broker takes. */
const [PARTITIONS, REQUESTS, RECORDS] = [2, 3, 1_500]

let folder: string
let broker: EmbeddedKafka
let ca: string

/** A certificate for 127.0.0.1, signed by itself, and its key. */
function createCertificate(): { readonly certificate: string; readonly key: string } {
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', '/CN=broker', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', keyFile, '-out', file], { stdio: 'ignore' })
  return { certificate: readFileSync(file, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-secured-'))
  const { certificate, key } = createCertificate()
  ca = certificate
  const keystore = join(folder, 'keystore.pem')
  writeFileSync(keystore, `${key}${certificate}`)
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
  broker = await startKafka({
    external: { host: '127.0.0.1' },
    extraProperties: {
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,CLIENT:PLAINTEXT,EXTERNAL:SASL_SSL',
      'listener.name.external.ssl.keystore.type': 'PEM',
      'listener.name.external.ssl.keystore.location': keystore,
      'listener.name.external.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.external.plain.sasl.jaas.config': `${login} user_${USER}="${PASSWORD}";`,
    },
  })
})
afterAll(async () => {
  await broker?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** As a user sets them who has been told the password, and whom to trust. */
function settingsOf(given: { readonly password?: string; readonly ca?: string | null } = {}): KafkaSettings {
  const trusted = given.ca === undefined ? ca : given.ca
  return {
    brokers: [broker.externalBrokers ?? ''],
    clientId: 'test',
    tls: { ca: trusted, cert: null, key: null },
    sasl: { mechanism: 'plain', username: USER, password: given.password ?? PASSWORD },
  }
}

const fetching = (settings: KafkaSettings) => createKafka(settings, () => {}, { socketFactory: connectFetching })

describe('brokers behind TLS and a password', () => {
  it('are written to and read from, to the record', async () => {
    const [settings, topic] = [settingsOf(), 'secured']
    const topics = [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }]
    await withAdmin(
      createKafka(settings, () => {}),
      admin => admin.createTopics({ topics, waitForLeaders: true }),
    )
    const sender = await createBatchSender(settings)
    const textOf = (partition: number, i: number) => `${partition}/${i}/`.padEnd(500, 'v')
    for (let sent = 0; sent < PARTITIONS * REQUESTS; sent++) {
      const [partition, first] = [sent % PARTITIONS, Math.floor(sent / PARTITIONS) * RECORDS]
      const messages = Array.from({ length: RECORDS }, (_, i) => ({ key: 'k', value: textOf(partition, first + i) }))
      await sender.send(topic, partition, messages)
    }
    await sender.close()
    const seen = Array.from({ length: PARTITIONS }, () => [] as string[])
    const crashes: Error[] = []
    const member = createMembership({
      kafka: fetching(settings),
      groupId: 'secured-group',
      lanes: lanesOfTopic(topic),
      settings: { sessionTimeoutMs: 6_000 },
      onAssigned(_epoch, partitions) {
        for (const partition of partitions) {
          member.seek(partition, 0)
          member.resume(partition)
        }
      },
      async onBatch(_epoch, partition, batch) {
        while (batch.next()) {
          const value = batch.valueBytes.subarray(batch.valueStart, batch.valueEnd)
          seen[partition]?.push(Buffer.from(value).toString())
        }
      },
      onRevoked() {},
      onAdvance() {},
      onCorrupt(_epoch, _partition, { reason }) {
        crashes.push(new Error(reason))
      },
      onOutOfRange() {},
      beforeRejoin: async () => {},
      onCrash: error => void crashes.push(error),
    })
    await member.start()
    await vi.waitFor(() => expect(seen.map(({ length }) => length)).toEqual([REQUESTS * RECORDS, REQUESTS * RECORDS]), {
      timeout: 30_000,
    })
    await member.stop()
    const values = seen.map((_, partition) =>
      Array.from({ length: REQUESTS * RECORDS }, (_, i) => textOf(partition, i)),
    )
    expect(seen).toEqual(values)
    expect(crashes).toEqual([])
  })

  it('say why they are not', async () => {
    const connect = async (settings: KafkaSettings) => {
      const options = { socketFactory: connectFetching, retries: 0 }
      const admin = createKafka(settings, () => {}, options).admin()
      await admin.connect().finally(() => admin.disconnect())
    }
    await expect(connect(settingsOf({ ca: null }))).rejects.toThrow('self-signed certificate')
    await expect(connect(settingsOf({ password: 'wrong' }))).rejects.toThrow('Invalid username or password')
  })
})
