import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { KERNEL_PAGES } from '../src/events/kernelLayout.ts'

/** What `npm run kernel` writes; committed, so that nobody who installs or runs Tidemark needs the compiler. */
export const KERNEL_MODULE = 'src/events/kernelModule.ts'

const OPTIONS = [
  '-O3',
  '--converge',
  '--noAssert',
  '--enable',
  'simd',
  '--runtime',
  'stub',
  '--initialMemory',
  String(KERNEL_PAGES),
  '--importMemory',
  '--sharedMemory',
  '--enable',
  'threads',
  '--maximumMemory',
  String(KERNEL_PAGES),
]

/**
 * Compiles kernel/records.ts and all that it imports.
 * @returns the text of KERNEL_MODULE, the same for the same source and compiler
 * @throws Error with the compiler's words when it refuses
 */
export function compileKernel(root: string): string {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin', 'asc.js')
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-kernel-'))
  try {
    const outFile = join(folder, 'kernel.wasm')
    execFileSync(process.execPath, [compiler, 'kernel/records.ts', ...OPTIONS, '--outFile', outFile], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    return moduleText(readFileSync(outFile).toString('base64'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function moduleText(base64: string): string {
  return `// Made of kernel/ by \`npm run kernel\`: not to be edited.\n\n/** The kernel as a WebAssembly module. */\nexport const KERNEL_BASE64 =\n  '${base64}'\n`
}

if (import.meta.main) {
  writeFileSync(KERNEL_MODULE, compileKernel(process.cwd()))
  console.log(`wrote ${KERNEL_MODULE}`)
}
