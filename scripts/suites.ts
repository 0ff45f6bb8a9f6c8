import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
  readonly ms: number
}

/** Vitest's JSON report, as much of it as is read here. */
type Report = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

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
export function countsOf(
  report: Report | null,
  succeeded: boolean,
): { readonly passed: number; readonly failed: number; readonly skipped: number } {
  if (report === null) return { passed: 0, failed: succeeded ? 0 : 1, skipped: 0 }
  const broken = report.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0)
  const failed = report.numFailedTests + broken.length
  return {
    passed: report.numPassedTests,
    failed: succeeded ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function readReport(path: string): Report | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
