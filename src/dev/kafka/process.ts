import { type ChildProcess, spawn } from 'node:child_process'

/** True while a process of this id runs (or is stopped by SIGSTOP). */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Kills `pid` and removes `folder` (if any) when this process has gone, however it went: the guard is a shell that waits for
 * the end of a pipe which the kernel closes with us, so that even our SIGKILL leaves no broker and no folder behind. It is
 * detached, because a Ctrl-C in a terminal reaches the whole process group.
 *
 * @returns ends the guard without it doing anything
 */
export function guard(pid: number, folder: string | null): () => void {
  const script = 'read -r _; kill -9 "$1" 2>/dev/null; if [ -n "$2" ]; then sleep 1; rm -rf "$2"; fi'
  const shell = spawn('/bin/sh', ['-c', script, 'guard', String(pid), folder ?? ''], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Without a shell there is only the exit handler: better than no broker.
  shell.on('error', () => {})
  shell.unref()
  const pipe = shell.stdin as unknown as { unref?(): void }
  pipe.unref?.()
  return () => shell.kill('SIGKILL')
}

/** Waits for a process to end. @returns false when it has not within the time */
export function hasExited(child: ChildProcess, timeoutMs: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(true)
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      child.off('exit', onExit)
      resolve(false)
    }, timeoutMs)
    const onExit = () => {
      clearTimeout(timer)
      resolve(true)
    }
    child.once('exit', onExit)
  })
}
