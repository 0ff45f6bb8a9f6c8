import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import type { Kube } from '../support/kube.ts'
import { type Background, background } from '../support/run.ts'
import type { Target } from '../target.ts'

/** The broker's second listener, and how k8s/dev has it tell its address. */
const PORT = 29092
const ADVERTISED = `EXTERNAL://localhost:${PORT}`
const ROOT = join(import.meta.dirname, '..', '..', '..')
const LIMIT_MS = 180_000
const REACH_LIMIT_MS = 30_000

/** The dev Kafka of k8s/dev in a namespace, and a way to it from outside. */
export class DevKafka {
  readonly #kube: Kube
  readonly #namespace: string
  #forward: Background | null = null
  #ended = false
  #lastWords = ''
  #port = 0

  constructor(kube: Kube, namespace: string) {
    this.#kube = kube
    this.#namespace = namespace
  }

  /** For pods of any namespace: KEDA asks it, too. */
  get brokers(): string {
    return `kafka.${this.#namespace}.svc:9092`
  }

  /** For what runs beside the cluster. */
  get outside(): string {
    return `localhost:${this.#port}`
  }

  async start(target: Target): Promise<void> {
    // A port of its own: another broker's may be in use on this machine, by `skaffold dev` above all.
    const [port] = await freePorts(1, '127.0.0.1')
    this.#port = port as number
    const folder = join(ROOT, 'k8s', 'dev', ...(target.kind === 'lab' ? ['local'] : []))
    const inNamespace = ['-n', this.#namespace]
    const manifests = await this.#kube.kubectl(['kustomize', folder])
    if (!manifests.includes(ADVERTISED)) throw new Error(`${folder} advertises no ${ADVERTISED}`)
    const input = manifests.replaceAll(ADVERTISED, `EXTERNAL://${this.outside}`)
    await this.#kube.kubectl([...inNamespace, 'apply', '-f', '-'], { input })
    const rollout = ['rollout', 'status', 'statefulset/kafka', `--timeout=${LIMIT_MS / 1000}s`]
    await this.#kube.kubectl([...inNamespace, ...rollout], { limitMs: LIMIT_MS + 10_000 })
    void this.#keepForwarding()
    await this.#reachable()
  }

  async end(): Promise<void> {
    this.#ended = true
    await this.#forward?.end()
  }

  /** A port-forward ends with the connection that carries it; what uses it repeats its requests. */
  async #keepForwarding(): Promise<void> {
    const args = [
      '--context',
      this.#kube.context,
      '-n',
      this.#namespace,
      'port-forward',
      'service/kafka',
      `${this.#port}:${PORT}`,
    ]
    while (!this.#ended) {
      const onText = (text: string) => {
        this.#lastWords = text
      }
      this.#forward = background('kubectl', args, { env: this.#kube.env, onText })
      while (this.#forward.running && !this.#ended) await sleep(200)
      if (!this.#ended) await sleep(500)
    }
  }

  async #reachable(): Promise<void> {
    const deadline = Date.now() + REACH_LIMIT_MS
    while (!(await answers(this.#port))) {
      if (Date.now() > deadline) throw new Error(`no way to the broker: ${this.#lastWords}`)
      await sleep(200)
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTcp({ port, host: '127.0.0.1' })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
