import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureTool } from '../../scripts/tools.ts'
import { freePorts, isPortFree } from '../../src/dev/kafka/ports.ts'
import { TidemarkError } from '../../src/errors.ts'
import { startServer } from '../support/kubernetes/processes.ts'

/** A running OpenTelemetry Collector, for OTEL_EXPORTER_OTLP_ENDPOINT. */
export type Collector = {
  /** Takes `http/protobuf` and `http/json`. */
  readonly http: string
  readonly grpc: string
  /** The last lines that it has written: what it was sent and could not hand on is told there. */
  lastLines(): string
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
const START_LIMIT_MS = 30_000
const POLL_MS = 100

/** The program; null where it is not there and cannot be built for want of Go. Under CI=true that is a failure. */
export const collectorProgram: string | null = await findProgram()

async function findProgram(): Promise<string | null> {
  try {
    return await ensureTool('otelcol')
  } catch (error) {
    if (!(error instanceof TidemarkError) || process.env.CI === 'true') throw error
    console.error(`tests that need the OpenTelemetry Collector are left out. ${error.message}`)
    return null
  }
}

/**
 * Starts the Collector: what it takes by OTLP, over HTTP and gRPC, it hands on to `receiver` as OTLP in JSON. It does not
 * outlive this process.
 * @throws Error with its last words when it does not come up
 */
export async function startCollector(program: string, receiver: string): Promise<Collector> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-collector-'))
  const [http, grpc] = (await freePorts(2, HOST)) as [number, number]
  // YAML is a superset of JSON.
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(configuration(http, grpc, receiver)))
  const server = startServer(program, ['--config', `file:${join(folder, 'config.yaml')}`], folder)
  const stop = async () => {
    await server.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + START_LIMIT_MS
  while ((await isPortFree(http, HOST)) || (await isPortFree(grpc, HOST))) {
    if (!server.isRunning() || Date.now() > deadline) {
      const said = server.lastLines()
      await stop()
      throw new Error(`The Collector did not come up. It said:\n${said}`)
    }
    await sleep(POLL_MS)
  }
  return { http: `http://${HOST}:${http}`, grpc: `http://${HOST}:${grpc}`, lastLines: server.lastLines, stop }
}

function configuration(http: number, grpc: number, receiver: string): unknown {
  const pipeline = { receivers: ['otlp'], exporters: ['otlp_http'] }
  return {
    receivers: {
      otlp: { protocols: { http: { endpoint: `${HOST}:${http}` }, grpc: { endpoint: `${HOST}:${grpc}` } } },
    },
    exporters: { otlp_http: { endpoint: receiver, encoding: 'json', compression: 'none' } },
    service: {
      pipelines: { traces: pipeline, metrics: pipeline, logs: pipeline },
      // Its own metrics would want a port of everybody's.
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
  }
}
