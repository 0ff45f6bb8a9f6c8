import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ensureKafkaJars } from '../../../src/dev/kafka/jars.ts'
import { javaMajorVersion } from '../../../src/dev/kafka/java.ts'

/** Stands in for Maven: notes each call, and copies "jars" to where Maven was told to. */
const FAKE_MAVEN = `#!/bin/sh
echo called >>"$(dirname "$0")/calls"
for arg in "$@"; do case "$arg" in -DoutputDirectory=*) out="\${arg#*=}" ;; esac; done
echo broker >"$out/kafka.jar"
echo tools >"$out/tools.jar"
`
const PATH = process.env.PATH
let scratch: string
let cache: string

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'jars-test-'))
  cache = join(scratch, 'cache')
  await mkdir(join(scratch, 'bin'))
  await useMaven(FAKE_MAVEN)
  process.env.PATH = `${join(scratch, 'bin')}:/usr/bin:/bin`
})
afterEach(async () => {
  process.env.PATH = PATH
  await rm(scratch, { recursive: true, force: true })
})

async function useMaven(script: string): Promise<void> {
  await writeFile(join(scratch, 'bin', 'mvn'), script)
  await chmod(join(scratch, 'bin', 'mvn'), 0o755)
}

async function mavenCalls(): Promise<number> {
  const calls = await readFile(join(scratch, 'bin', 'calls'), 'utf8').catch(() => '')
  return calls.split('\n').length - 1
}

test('jars are fetched once, and nothing but the named folder stays', async () => {
  const folder = await ensureKafkaJars(cache)
  expect((await readdir(folder)).sort()).toEqual(['kafka.jar', 'tools.jar'])
  expect(await ensureKafkaJars(cache)).toBe(folder)
  expect(await mavenCalls()).toBe(1)
  expect(await readdir(cache)).toHaveLength(1)
})

test('two at once fetch once', async () => {
  const [one, other] = await Promise.all([ensureKafkaJars(cache), ensureKafkaJars(cache)])
  expect(one).toBe(other)
  expect(await mavenCalls()).toBe(1)
})

test.each([
  ['a jar was cut off', (folder: string) => writeFile(join(folder, 'kafka.jar'), 'br')],
  ['a jar is gone', (folder: string) => rm(join(folder, 'tools.jar'))],
  ['the marker is broken', (folder: string) => writeFile(join(folder, '../jars.json'), '{')],
])('a damaged folder is fetched anew: %s', async (_name, damage) => {
  const folder = await ensureKafkaJars(cache)
  await damage(folder)
  await ensureKafkaJars(cache)
  expect(await mavenCalls()).toBe(2)
  expect(await readFile(join(folder, 'kafka.jar'), 'utf8')).toBe('broker\n')
})

test('the lock of a dead process is taken away', async () => {
  const folder = await ensureKafkaJars(cache)
  await rm(join(folder, '..'), { recursive: true })
  const lock = join(cache, `${await lockName()}.lock`)
  await mkdir(lock)
  // Process ids end far below this on every system.
  await writeFile(join(lock, 'owner'), '1999999999')
  await ensureKafkaJars(cache)
  expect(await mavenCalls()).toBe(2)
})

async function lockName(): Promise<string> {
  const pom = await readFile(join(import.meta.dirname, '../../../src/dev/kafka/pom.xml'), 'utf8')
  return `kafka-${/<kafka\.version>(.*)<\/kafka\.version>/.exec(pom)?.[1]}`
}

test('a Maven that fails is tried twice and then quoted; nothing half-made stays', async () => {
  await useMaven(`#!/bin/sh\necho called >>"$(dirname "$0")/calls"\necho '[ERROR] no route to host'\nexit 1\n`)
  await expect(ensureKafkaJars(cache)).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringContaining('no route to host'),
  })
  expect(await mavenCalls()).toBe(2)
  expect(await readdir(cache)).toEqual([])
})

test('without Maven the error says what to install and what else works', async () => {
  process.env.PATH = scratch
  await expect(ensureKafkaJars(cache)).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringMatching(/Maven.*KAFKA_BROKERS.*compose/s),
  })
})

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_392"', 8],
  ['openjdk version "25-ea" 2025-09-16', 25],
  ['no such thing', null],
])('the Java version in %j is %j', (text, version) => expect(javaMajorVersion(text)).toBe(version))
