import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** The suites of `npm test` in the order in which they run: vitest's projects of vitest.config.ts. */
export const SUITES = ['unit', 'simulation', 'charts', 'kubernetes', 'kafka', 'scenarios', 'observability'] as const

/** Suites that run only where they are named. */
export const CAMPAIGNS = ['alerts'] as const

export type Suite = (typeof SUITES)[number] | (typeof CAMPAIGNS)[number]

export type SuiteResult = {
  readonly suite: Suite
  readonly passed: number
  /** Failed tests, and a file that could not be loaded or an error outside of a test as one each. */
  readonly failed: number
  readonly skipped: number
  /** Each failed test with its file, and what it said: a long log is read from its end. */
  readonly failures: readonly string[]
  readonly ms: number
}

/** Vitest's JSON report, as much of it as is read here. */
type Report = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly FileReport[]
}

type FileReport = {
  /** The file's path. */
  readonly name: string
  readonly status: string
  /** Why the file itself failed; empty if it did not. */
  readonly message?: string
  readonly assertionResults: readonly {
    readonly fullName: string
    readonly status: string
    readonly failureMessages?: readonly string[] | null
  }[]
}

/** What is shown of what a failed test said, in characters. */
const SHOWN = 800

/** Runs one suite with its output shown as it comes; further arguments go to vitest, as a file name or -t. */
export function runSuite(suite: Suite, vitestArgs: readonly string[] = []): SuiteResult {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  const reportPath = join(folder, 'report.json')
  const startedAt = performance.now()
  const args = ['run', '--project', suite, '--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`]
  try {
    const done = spawnSync('vitest', [...args, ...vitestArgs], { stdio: 'inherit' })
    const ms = performance.now() - startedAt
    return { suite, ...countsOf(readReport(reportPath), done.status === 0), ms }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The counts of a report; a run that failed without a failed test (null: without a report) counts as one failure. */
export function countsOf(report: Report | null, succeeded: boolean): Omit<SuiteResult, 'suite' | 'ms'> {
  if (report === null) return { passed: 0, failed: succeeded ? 0 : 1, skipped: 0, failures: [] }
  const broken = report.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0)
  const failed = report.numFailedTests + broken.length
  return {
    passed: report.numPassedTests,
    failed: succeeded ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + report.numTodoTests,
    failures: report.testResults.flatMap(failuresOf),
  }
}

function failuresOf(file: FileReport): string[] {
  const path = relative(process.cwd(), file.name)
  const tests = file.assertionResults.filter(test => test.status === 'failed')
  const ofTests = tests.map(test => shown(`${path} > ${test.fullName}`, test.failureMessages?.join('\n') ?? ''))
  return file.status === 'failed' && tests.length === 0 ? [shown(path, file.message ?? '')] : ofTests
}

function shown(name: string, said: string): string {
  const text = stripVTControlCharacters(said).trim()
  return `${name}\n  ${(text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text).replaceAll('\n', '\n  ')}`
}

function readReport(path: string): Report | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
