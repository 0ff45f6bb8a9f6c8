import { TidemarkError } from '../../src/errors.ts'
import { sourceFolder } from './catalogue.ts'
import { type Done, runProgram } from './run.ts'

/** The first Go that can fetch a later Go by itself, which every go.mod here asks for. */
const LEAST_GO = [1, 21] as const
const COMPLAINT_LINES = 15

/**
 * Runs `go` in one of the module folders, with checksums enforced and go.mod left alone.
 *
 * @returns its standard output
 * @throws TidemarkError 'unreachable' when there is no Go, when it is too old, or when it fails
 */
export async function runGo(folder: string, args: readonly string[], timeoutMs: number): Promise<string> {
  await requireGo()
  const done = await go(args, { cwd: sourceFolder(folder), timeoutMs })
  if (done.status === 0) return done.stdout
  const ending = done.status === null ? `no end within ${Math.round(timeoutMs / 60_000)} min` : `exit ${done.status}`
  const said = done.stderr.trim().split('\n').slice(-COMPLAINT_LINES).join('\n')
  throw new TidemarkError(
    'unreachable',
    `\`go ${args[0]}\` failed in scripts/tools/${folder} (${ending}). It said:\n${said}\nModules come from GOPROXY and a newer Go by GOTOOLCHAIN=auto: check that the network allows both, then try again.`,
    { retriable: true },
  )
}

/** True when this machine's Go can build the tools. */
export async function hasGo(): Promise<boolean> {
  return requireGo().then(
    () => true,
    () => false,
  )
}

async function requireGo(): Promise<void> {
  let said: string
  try {
    said = (await go(['version'], { cwd: import.meta.dirname, timeoutMs: 60_000 })).stdout
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw goMissing('there is no `go` on PATH')
  }
  const [major, minor] = (/go(\d+)\.(\d+)/.exec(said)?.slice(1) ?? []).map(Number)
  if (major === undefined || minor === undefined) return
  const isTooOld = major < LEAST_GO[0] || (major === LEAST_GO[0] && minor < LEAST_GO[1])
  if (isTooOld) throw goMissing(`the \`go\` on PATH is ${major}.${minor}`)
}

function goMissing(found: string): TidemarkError {
  return new TidemarkError(
    'unreachable',
    `Helm, kubectl, the rest of Kubernetes and what watches it are built here from their Go modules, which needs Go 1.24 or later (1.21 or later can fetch that itself): ${found}. Install Go (https://go.dev/dl, macOS: \`brew install go\`, Debian 13: \`apt-get install golang-go\`).`,
  )
}

function go(args: readonly string[], options: { readonly cwd: string; readonly timeoutMs: number }): Promise<Done> {
  // Some systems set GOTOOLCHAIN=local in Go's own settings: a person's own choice still wins.
  const GOTOOLCHAIN = process.env.GOTOOLCHAIN ?? 'auto'
  const env = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-mod=readonly -buildvcs=false', GOTOOLCHAIN }
  return runProgram('go', args, { ...options, env })
}
