import { join } from 'node:path'
import { ensureKafkaJars } from '../../../src/dev/kafka/jars.ts'
import { findJava } from '../../../src/dev/kafka/java.ts'
import { ROOT, wordOf } from './document.ts'

export type ShellOptions = {
  readonly prometheus: string
  readonly api: string
  /** The environment of every command of Tidemark. */
  readonly settings: Readonly<Record<string, string>>
  /** Holds `<name>.log` of each process. */
  readonly folder: string
  readonly ports: ReadonlyMap<string, number>
}

/** Kafka's own tools, by the name that its distribution gives them after `kafka-`. */
const KAFKA_TOOLS: Readonly<Record<string, string>> = {
  configs: 'kafka.admin.ConfigCommand',
  'console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  topics: 'org.apache.kafka.tools.TopicCommand',
  transactions: 'org.apache.kafka.tools.TransactionsCommand',
}

/** What the blocks of the runbooks' index define, for the processes of a lab; for bash. */
export async function shellText({ prometheus, api, settings, folder, ports }: ShellOptions): Promise<string> {
  const [java, jars] = [await findJava(), await ensureKafkaJars()]
  const variables = Object.entries(settings).map(([name, value]) => `${name}=${quoted(value)}`)
  const node = [process.execPath, join(ROOT, 'src', 'main.ts')].map(quoted).join(' ')
  const tools = Object.entries(KAFKA_TOOLS).map(([name, main]) => `    ${name}) main=${main} ;;`)
  const addresses = [...ports].map(([name, port]) => `    ${name}) port=${port} ;;`)
  return `P=${prometheus}; API=${api}; KAFKA=${settings.KAFKA_BROKERS}
${wordOf('q')}
tm() { env ${variables.join(' ')} ${node} "$@"; }
logs() { tail -q -n 5000 ${quoted(folder)}/"$1"-*.log; }
ask() {
  local port
  case $1 in
${addresses.join('\n')}
    *) echo "no process '$1': one of ${[...ports.keys()].join(', ')}" >&2; return 2 ;;
  esac
  curl -s "http://127.0.0.1:$port$2"
}
kafka() {
  local main
  case $1 in
${tools.join('\n')}
    *) echo "no tool '$1': one of ${Object.keys(KAFKA_TOOLS).join(', ')}" >&2; return 2 ;;
  esac
  shift
  ${quoted(java)} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=OFF -cp ${quoted(join(jars, '*'))} "$main" "$@"
}
sql() { psql ${quoted(settings.DATABASE_URL ?? '')} \${1:+-c "$1"}; }
`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
