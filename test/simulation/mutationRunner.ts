import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutation } from './mutations.ts'

/** What became of a rule that was switched off. */
export type Proof = {
  readonly mutation: Mutation
  /** The check that failed first; null when none did. */
  readonly check: string | null
  /** The seed on which it failed, and how many seconds that took. */
  readonly seed: number | null
  readonly seconds: number
  /** What the simulation said, for when the proof fails. */
  readonly output: string
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FAILED = /^FAILED (\S+) \(seed (\d+)\)/m
const STUCK_AFTER_MS = 300_000

/** Copies the code, applies one mutation and runs the simulation on it in a process of its own. */
export async function prove(mutation: Mutation, number: number): Promise<Proof> {
  const folder = join(ROOT, '.cache', 'mutants', `${process.pid}-${number}`)
  const startedAt = performance.now()
  try {
    plant(mutation, folder)
    const output = await simulateIn(folder, mutation)
    const found = FAILED.exec(output)
    return {
      mutation,
      check: found?.[1] ?? null,
      seed: found === null ? null : Number(found[2]),
      seconds: (performance.now() - startedAt) / 1000,
      output,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @throws Error when the source text to replace does not occur exactly once */
function plant({ file, find, replace, rule }: Mutation, folder: string): void {
  mkdirSync(folder, { recursive: true })
  for (const part of ['src', join('test', 'simulation'), join('test', 'unit', 'recordBlock.ts')])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  const text = readFileSync(join(ROOT, file), 'utf8')
  const pieces = text.split(find)
  if (pieces.length !== 2) throw new Error(`${rule}: ${file} holds its text ${pieces.length - 1} times: ${find}`)
  const target = join(folder, file)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, pieces.join(replace))
}

function simulateIn(folder: string, { from = 1, seeds }: Mutation): Promise<string> {
  const main = join(folder, 'test', 'simulation', 'main.ts')
  const args = [main, '--from', String(from), '--seeds', String(seeds), '--workers', '1', '--stop-at-first']
  const child = spawn(process.execPath, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: STUCK_AFTER_MS,
  })
  let output = ''
  child.stdout.on('data', data => {
    output += data
  })
  child.stderr.on('data', data => {
    output += data
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => resolve(output))
  })
}

/** Runs the rows, so many at a time, and tells of each as it is done. */
export async function proveAll(
  rows: readonly Mutation[],
  atOnce: number,
  onProof: (proof: Proof) => void = () => {},
): Promise<Proof[]> {
  const proofs: Proof[] = []
  let next = 0
  const lane = async () => {
    for (let row = rows[next++]; row !== undefined; row = rows[next++]) {
      const proof = await prove(row, next)
      proofs[rows.indexOf(row)] = proof
      onProof(proof)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return proofs
}

/** Whether switching the rule off turned one of the named checks red. */
export function isProven({ mutation, check }: Proof): boolean {
  return check !== null && mutation.expects.includes(check)
}
