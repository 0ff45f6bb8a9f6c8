import { spawnSync } from 'node:child_process'
import { staleChartFiles } from './chart.ts'
import { staleFiles } from './generated.ts'
import { houseViolations, readSources, told } from './house.ts'
import { runSuite } from './suites.ts'

/** A step says what is wrong, one complaint a line; none when all is well. */
type Step = { readonly name: string; readonly complaints: () => readonly string[] }

const ROOT = process.cwd()

const STEPS: readonly Step[] = [
  { name: 'types', complaints: () => command('tsc', '-p', '.') },
  { name: 'format and lint', complaints: () => command('biome', 'check', '.') },
  { name: 'import directions, purity, cycles', complaints: () => houseViolations(readSources(ROOT)).map(told) },
  {
    name: 'generated documents',
    complaints: () => staleFiles(ROOT).map(file => `${file} is out of date: npm run docs rewrites it`),
  },
  {
    name: 'chart and what is rendered from it',
    complaints: () => staleChartFiles(ROOT).map(file => `${file} is out of date: npm run docs rewrites it`),
  },
  { name: 'unit suite', complaints: unitSuite },
]

/** `npm run check`: every step runs, so that one call shows all that is wrong; exit 1 when anything is. */
function main(): number {
  const failed = STEPS.filter(step => {
    const startedAt = performance.now()
    const complaints = complaintsOf(step)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${complaints.length === 0 ? 'ok    ' : 'FAILED'} ${step.name} (${seconds} s)`)
    for (const complaint of complaints) console.log(complaint)
    return complaints.length > 0
  })
  console.log(failed.length === 0 ? 'all checks passed' : `failed: ${failed.map(step => step.name).join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

function complaintsOf(step: Step): readonly string[] {
  try {
    return step.complaints()
  } catch (error) {
    return [String(error)]
  }
}

function command(program: string, ...args: string[]): string[] {
  const done = spawnSync(program, args, { encoding: 'utf8' })
  if (done.status === 0) return []
  return [done.error?.message, done.stdout, done.stderr].filter((text): text is string => Boolean(text))
}

function unitSuite(): string[] {
  const { passed, failed } = runSuite('unit')
  if (failed > 0) return [`${failed} failed`]
  return passed > 0 ? [] : ['it ran no test']
}

process.exitCode = main()
