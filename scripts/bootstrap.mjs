/**
 * Starts a command of the project on a machine that has only some Node (18 or newer) and npm:
 *
 *     node scripts/bootstrap.mjs <command> [arguments...]
 *
 * makes sure that what package-lock.json names is installed, and runs the command with node_modules/.bin first on PATH,
 * where `node` is the project's own Node 24. Plain JavaScript without packages, since it runs before there are any.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const BIN = join(ROOT, 'node_modules', '.bin')
const STAMP = join(ROOT, 'node_modules', '.tidemark-lock-hash')
const INSTALLED_LOCK = join(ROOT, 'node_modules', '.package-lock.json')
const INSTALLING = join(ROOT, '.cache', 'installing')

const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` }

function main() {
  const [command, ...args] = process.argv.slice(2)
  if (command === undefined) fail(2, 'usage: node scripts/bootstrap.mjs <command> [arguments...]')
  if (Number(process.versions.node.split('.')[0]) < 18) {
    fail(1, `Node ${process.versions.node} is too old to install the packages: any Node from 18 on will do.`)
  }
  ensureInstalled()
  run(command, args)
}

function ensureInstalled() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const hash = createHash('sha256').update(lock).digest('hex')
  if (isInstalled(lock, hash)) return
  // Several terminals may start something in a fresh clone at once: one installs, the others wait for it.
  const unlock = takeTurn()
  try {
    if (isInstalled(lock, hash)) return
    install()
    writeFileSync(STAMP, `${hash}\n`)
  } finally {
    unlock()
  }
}

function isInstalled(lock, hash) {
  // A link in .bin whose target is missing does not exist for existsSync: an interrupted download is noticed.
  if (!existsSync(join(BIN, 'node'))) return false
  if (existsSync(STAMP)) return readFileSync(STAMP, 'utf8').trim() === hash
  // Somebody ran `npm ci` by hand: npm's own record tells what it installed.
  if (!existsSync(INSTALLED_LOCK) || !holdsAll(JSON.parse(lock), JSON.parse(readFileSync(INSTALLED_LOCK, 'utf8')))) {
    return false
  }
  writeFileSync(STAMP, `${hash}\n`)
  return true
}

function holdsAll(wanted, installed) {
  return Object.entries(wanted.packages).every(
    ([path, entry]) => path === '' || entry.optional || installed.packages[path]?.version === entry.version,
  )
}

function install() {
  say('installing the packages of package-lock.json (npm ci), about 15 seconds...')
  const startedAt = Date.now()
  // npm tells its scripts where it is; that is the npm that was called, whatever else is on PATH.
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const [program, programArgs] = npm?.endsWith('.js') ? [process.execPath, [npm, ...args]] : ['npm', args]
  // Its output goes to stderr: the command's stdout may be a result that a program reads.
  const done = spawnSync(program, programArgs, { cwd: ROOT, stdio: ['ignore', 2, 2] })
  if (done.error) fail(1, `npm could not be started (${done.error.message}): is it installed and on PATH?`)
  if (done.status !== 0) {
    fail(
      1,
      `npm ci failed (${done.signal ?? `exit code ${done.status}`}), see its message above.\n` +
        'Without a connection to the package registry the packages cannot be installed: check the network and the\n' +
        'proxy or mirror that `npm config get registry` names, then run the same command again.',
    )
  }
  if (!existsSync(join(BIN, 'node'))) {
    fail(
      1,
      'npm ci left no Node 24 in node_modules: were install scripts switched off (`npm config get ignore-scripts`)?',
    )
  }
  say(`installed in ${Math.round((Date.now() - startedAt) / 1000)} s`)
}

/** Waits until no other live process installs; returns what ends our turn. */
function takeTurn() {
  mkdirSync(dirname(INSTALLING), { recursive: true })
  for (let told = false; ; ) {
    try {
      writeFileSync(INSTALLING, String(process.pid), { flag: 'wx' })
      const remove = () => rmSync(INSTALLING, { force: true })
      process.once('exit', remove)
      return () => {
        // Left in place it would take away the turn of somebody else when we end.
        process.off('exit', remove)
        remove()
      }
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!isAlive(holder())) {
      rmSync(INSTALLING, { force: true })
      continue
    }
    if (!told) say('another process is installing the packages, waiting for it...')
    told = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function holder() {
  try {
    return Number(readFileSync(INSTALLING, 'utf8'))
  } catch {
    return 0
  }
}

function isAlive(pid) {
  // Between its creation and its first byte the file is empty: its writer lives.
  if (pid === 0) return existsSync(INSTALLING)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function run(command, args) {
  const child = spawn(command, args, { cwd: process.cwd(), env, stdio: 'inherit' })
  const forwardedAt = new Map()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the whole group, the child included: a second one would end it without draining.
      if (signal !== 'SIGTERM' && process.stdin.isTTY) return
      // For the same reason npm's own forwarding of a signal that we got already counts as the same one.
      if (Date.now() - (forwardedAt.get(signal) ?? Number.NEGATIVE_INFINITY) < 500) return
      forwardedAt.set(signal, Date.now())
      child.kill(signal)
    })
  }
  child.on('error', error => fail(1, `${command} could not be started: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))
}

function say(text) {
  process.stderr.write(`${text}\n`)
}

function fail(code, text) {
  say(text)
  process.exit(code)
}

main()
