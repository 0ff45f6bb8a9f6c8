import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../errors.ts'
import { isProcessAlive } from './kafka/process.ts'

const POLL_MS = 200
/** A lock without the name of its owner is given this long: its owner may be about to write it. */
const NAMELESS_MS = 10_000

/**
 * Takes a lock that only one process can hold: a folder, since only one can make it. One whose owner is dead is taken
 * away; should two waiters do that at once, both go on: what they make must be put in place by a rename.
 *
 * @param waitMs how long to wait for another owner
 * @returns gives the lock back
 * @throws TidemarkError 'unreachable' when it stays taken
 */
export async function lockFolder(folder: string, waitMs: number): Promise<() => Promise<void>> {
  const deadline = Date.now() + waitMs
  while (!(await tryMakeFolder(folder))) {
    if (Date.now() > deadline) {
      throw new TidemarkError('unreachable', `Waited ${waitMs / 60_000} min for another process that holds ${folder}`)
    }
    if (await isAbandoned(folder)) await rm(folder, { recursive: true, force: true })
    else await sleep(POLL_MS)
  }
  await writeFile(`${folder}/owner`, String(process.pid))
  return () => rm(folder, { recursive: true, force: true })
}

async function tryMakeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function isAbandoned(folder: string): Promise<boolean> {
  try {
    const owner = Number(await readFile(`${folder}/owner`, 'utf8'))
    if (owner > 0) return !isProcessAlive(owner)
  } catch {
    // No owner named yet.
  }
  try {
    return Date.now() - (await stat(folder)).mtimeMs > NAMELESS_MS
  } catch {
    return false
  }
}
