import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = dirname(import.meta.dirname)

/**
 * `node scripts/build.ts`: plain JavaScript of src/ in dist/, as the image runs it. Every other file of src/ (the
 * pom, the log settings) is copied to the same place, since the code reads it relative to its own file; package.json,
 * which tells the version, stays one folder up, as it is from src/. Exit 1 with the compiler's words when it fails.
 */
function main(): number {
  const [source, target] = [join(ROOT, 'src'), join(ROOT, 'dist')]
  // Nothing of an earlier build may stay: a command whose source is gone would still start.
  rmSync(target, { recursive: true, force: true })
  const compiler = join(ROOT, 'node_modules', '.bin', 'tsc')
  const done = spawnSync(compiler, ['-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' })
  if (done.status !== 0) {
    console.error(done.error?.message ?? 'dist/ was not built: see the messages above')
    return 1
  }
  const files = readdirSync(source, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  for (const { parentPath, name } of files) {
    const place = join(parentPath, name).slice(source.length)
    if (!name.endsWith('.ts')) cpSync(join(source, place), join(target, place))
  }
  if (existsSync(join(target, 'main.js'))) return 0
  console.error(`${join(target, 'main.js')} was not made: does tsconfig.build.json still say rootDir src?`)
  return 1
}

process.exitCode = main()
