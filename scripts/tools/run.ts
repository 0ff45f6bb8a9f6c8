import { spawn } from 'node:child_process'

/** `status` is null when the program was ended by a signal, as after its time. */
export type Done = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

export type RunOptions = {
  readonly cwd?: string
  /** Beside the environment that we have ourselves. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | undefined
  readonly timeoutMs: number
}

/** Runs a program to its end. @throws Error when it cannot be started */
export function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      env: { ...process.env, ...options.env },
    })
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', chunk => out.push(chunk))
    child.stderr.on('data', chunk => err.push(chunk))
    child.on('error', reject)
    child.on('close', status =>
      resolve({ status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
    // It may end before it has read all.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input)
  })
}
