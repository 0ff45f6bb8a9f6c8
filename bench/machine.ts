import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { kafkaVersion } from '../src/dev/kafka/jars.ts'

/** Where and when figures were taken; without it they say nothing. */
export type Machine = {
  readonly date: string
  readonly cores: number
  readonly cpu: string
  readonly memory_gib: number
  readonly node: string
  readonly kafka: string
}

const POM_FILE = join(import.meta.dirname, '..', 'src', 'dev', 'kafka', 'pom.xml')

export function describeMachine(): Machine {
  const cores = cpus()
  return {
    date: new Date().toISOString(),
    cores: cores.length,
    cpu: cores[0]?.model.trim() ?? 'unknown',
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kafka: kafkaVersion(readFileSync(POM_FILE, 'utf8')),
  }
}

export function machineText({ date, cores, cpu, memory_gib, node, kafka }: Machine): string {
  return `${date} · ${cores} x ${cpu}, ${memory_gib} GiB · Node ${node} · Kafka ${kafka} on the same machine`
}
