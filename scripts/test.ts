import { CAMPAIGNS, runSuite, SUITES, type Suite, type SuiteResult } from './suites.ts'

/**
 * `npm test` runs every suite but campaigns; `npm test -- unit kafka` some; what begins with the first other word goes to vitest, as
 * in `npm test -- unit test/unit/config -t lateness`. The last line is `N passed, N failed`.
 */
function main(): number {
  const words = process.argv.slice(2)
  const named = words.filter((word, index): word is Suite => isSuite(word) && words.slice(0, index).every(isSuite))
  const vitestArgs = words.slice(named.length)
  const results = (named.length > 0 ? [...new Set(named)] : SUITES).map(suite => {
    console.log(`\n== suite ${suite}`)
    return runSuite(suite, vitestArgs)
  })
  for (const failure of results.flatMap(({ suite, failures }) => failures.map(text => `${suite}: ${text}`))) {
    console.log(`\nnot ok: ${failure}`)
  }
  console.log(`\n${results.map(line).join('\n')}`)
  const sum = (key: 'passed' | 'failed' | 'skipped'): number =>
    results.reduce((total, result) => total + result[key], 0)
  const skipped = sum('skipped')
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return results.every(result => result.failed === 0 && result.passed > 0) ? 0 : 1
}

function isSuite(word: string): word is Suite {
  return [...SUITES, ...CAMPAIGNS].some(suite => suite === word)
}

function line({ suite, passed, failed, skipped, ms }: SuiteResult): string {
  const counts = `${passed} ok, ${failed} not ok${skipped > 0 ? `, ${skipped} left out` : ''}`
  const note = passed + failed === 0 ? ' (ran no test, which fails the run)' : ''
  return `suite ${suite.padEnd(10)} ${counts} in ${(ms / 1000).toFixed(1)} s${note}`
}

process.exitCode = main()
