import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

const LIMIT_MS = 60_000
const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) end(child)
})

/** Runs commands as a person types them: in bash, after the words that `shellFile` defines. */
export async function run(
  shellFile: string,
  commands: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const child = bash(shellFile, commands, variables)
  const timer = setTimeout(() => end(child), LIMIT_MS)
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    ended,
  ])
  clearTimeout(timer)
  return { code, stdout, stderr }
}

/** Starts commands that end in `&` and go on. @returns ends all that they have started */
export function plant(shellFile: string, commands: string): () => Promise<void> {
  const child = bash(shellFile, `${commands}\nwait`, {})
  child.stdout?.resume()
  child.stderr?.resume()
  const ended = new Promise(resolve => child.once('close', resolve).once('error', resolve))
  return async () => {
    end(child)
    await ended
  }
}

function bash(shellFile: string, commands: string, variables: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn('bash', ['-c', `. ${shellFile}\n${commands}`], {
    // A process group of its own, which is ended as a whole.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
  })
  alive.add(child)
  child.once('close', () => alive.delete(child))
  return child
}

function end(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

export type Row = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

/** What `q` prints, a line for each series with its labels as JSON and its value; other lines are left out. */
export function rowsOf(printed: string): Row[] {
  return [...printed.matchAll(/^(\{.*\}) {2}(\S+)$/gm)].map(([, labels = '', value = '']) => {
    return { labels: JSON.parse(labels), value: Number(value.replace('Inf', 'Infinity')) }
  })
}
