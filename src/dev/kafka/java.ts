import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { TidemarkError } from '../../errors.ts'

const LEAST_JAVA = 17

/** What to do when the machine lacks what the embedded broker needs; every such error ends in it. */
const OTHER_WAYS =
  'Without them, point KAFKA_BROKERS to a running Kafka broker, or start one with Docker: `docker compose up -d` (compose.yaml), then KAFKA_BROKERS=localhost:29092.'

type Output = { readonly code: string | number | null; readonly text: string }

/** Runs a program to its end. `code` is its exit code, or 'ENOENT' when there is no such program. */
export function runProgram(program: string, args: readonly string[]): Promise<Output> {
  return new Promise(resolve => {
    execFile(program, args, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), text: `${stdout}${stderr}` })
    })
  })
}

/**
 * The path of a Java that can run Kafka: that of JAVA_HOME, else the one on PATH.
 *
 * @throws TidemarkError 'unreachable' when there is none, or when it is too old
 */
export async function findJava(): Promise<string> {
  const home = process.env.JAVA_HOME
  const java = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
  const { code, text } = await runProgram(java, ['-version'])
  if (code !== 0)
    throw missing(`Java ${LEAST_JAVA} or later (\`${java}\` could not be run: ${code ?? 'ended by a signal'})`)
  const version = javaMajorVersion(text)
  if (version !== null && version < LEAST_JAVA)
    throw missing(`Java ${LEAST_JAVA} or later (\`${java}\` is Java ${version})`)
  return java
}

/** The major version in the output of `java -version` (8 for "1.8.0_392"), null when it tells none. */
export function javaMajorVersion(text: string): number | null {
  const match = /version "(?:1\.)?(\d+)/.exec(text)
  return match === null ? null : Number(match[1])
}

/** The error for something that has to be installed before the embedded broker can run. */
export function missing(what: string): TidemarkError {
  return new TidemarkError(
    'unreachable',
    `The embedded Kafka broker needs ${what}. Install a JDK and Maven (Debian: \`apt-get install openjdk-17-jre-headless maven\`, macOS: \`brew install openjdk maven\`). ${OTHER_WAYS}`,
  )
}
