import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withSection } from '../../scripts/generated.ts'
import { houseViolations, readSources, told } from '../../scripts/house.ts'
import { codeOf, importsOf } from '../../scripts/source.ts'
import { countsOf } from '../../scripts/suites.ts'

/** What the rules say about a single file. */
function violationsIn(path: string, text: string): string[] {
  return houseViolations([{ path, text }]).map(told)
}

it('the house stands', () => {
  const files = readSources(process.cwd())
  expect(files.length).toBeGreaterThan(10)
  expect(houseViolations(files).map(told)).toEqual([])
})

describe('a planted breach is found', () => {
  it.each([
    ['src/runtime/run.ts', "\nimport { Kafka } from 'kafkajs'", 'src/runtime/run.ts:2 imports kafkajs: only src/kafka'],
    ['src/main.ts', "const load = () => import('kafkajs')", 'src/main.ts:1 imports kafkajs: only src/kafka'],
    [
      'src/commands/role.ts',
      "await import('@kubernetes/client-node')",
      'src/commands/role.ts:1 imports @kubernetes/client-node: only src/kubernetes',
    ],
    ['src/dev/x.ts', "require('kafkajs/src/x')", 'src/dev/x.ts:1 imports kafkajs/src/x: only src/kafka'],
    ['src/tasks/x.ts', "import { readFileSync } from 'node:fs'", 'imports node:fs: pure code imports no package'],
    ['src/events/x.ts', "import pino from 'pino'", 'imports pino: pure code imports no package'],
    [
      'src/tasks/x.ts',
      "import type { Log } from '../telemetry/log.ts'",
      'imports src/telemetry/log.ts: pure code imports only',
    ],
    ['src/tasks/x.ts', "export * from '../runtime/ports.ts'", 'imports src/runtime/ports.ts: pure code imports only'],
    [
      'src/windows/x.ts',
      "import {\n  a,\n} from '../tasks/task.ts'",
      'x.ts:3 imports src/tasks/task.ts: events, aggregate',
    ],
    ['src/aggregate/x.ts', "import '../tasks/task.ts'", 'imports src/tasks/task.ts: events, aggregate'],
    ['src/tasks/x.ts', 'const now = Date.now()', 'uses Date.now'],
    ['src/tasks/x.ts', 'const now = new Date()', 'uses new Date() without an argument'],
    ['src/tasks/x.ts', 'const now = new Date', 'uses new Date() without an argument'],
    ['src/tasks/x.ts', 'const now = Date()', 'uses Date()'],
    ['src/tasks/x.ts', 'Temporal.Now.instant()', 'uses Temporal.Now'],
    ['src/tasks/x.ts', 'const half = a / 2 + Math.random() / 3', 'uses Math.random'],
    ['src/tasks/x.ts', 'const home = process.env.HOME', 'uses process'],
    ['src/tasks/x.ts', 'performance.now()', 'uses a global of the outside'],
    ['src/tasks/x.ts', "console.log('x')", 'uses a global of the outside'],
    ['src/tasks/x.ts', 'setTimeout(tick, 1)', 'uses a timer'],
    ['src/tasks/x.ts', `const text = \`at \${Date.now()} ms\``, 'uses Date.now'],
    ['src/tasks/x.ts', 'const quote = /[\'"`]/\nDate.now()', 'x.ts:2 uses Date.now'],
  ])('%s: %s', (path, text, wanted) => {
    expect(violationsIn(path, text)).toEqual([expect.stringContaining(wanted)])
  })

  it('an import cycle, of types too, once', () => {
    const files = [
      { path: 'src/tasks/a.ts', text: "import { b } from './b.ts'" },
      { path: 'src/tasks/b.ts', text: "import { c } from './c.ts'" },
      { path: 'src/tasks/c.ts', text: "\nimport type { A } from './a.ts'" },
      { path: 'src/tasks/d.ts', text: "import { a } from './a.ts'" },
    ]
    expect(houseViolations(files).map(told)).toEqual([
      'src/tasks/c.ts:2 closes an import cycle: src/tasks/a.ts -> src/tasks/b.ts -> src/tasks/c.ts -> src/tasks/a.ts',
    ])
  })
})

it.each([
  ['src/kafka/client.ts', "import { Kafka } from 'kafkajs'"],
  ['src/kubernetes/view.ts', "import { KubeConfig } from '@kubernetes/client-node'"],
  ['src/telemetry/x.ts', 'const now = Date.now()'],
  ['src/tasks/x.ts', "import { invariant } from '../errors.ts'\nimport { parse } from '../events/parse.ts'"],
  ['src/tasks/x.ts', 'const start = new Date(ms)\ntask.process(batch)\nprocess(batch: RecordBatch): void'],
  ['src/tasks/x.ts', "// Date.now()\n/* import x from 'pino' */ const text = 'Math.random()' + \"it's process.env\""],
  ['src/tasks/x.ts', `const text = \`Date.now() \${ids.map(id => \`\${id} Math.random()\`)} process.env\``],
])('leaves alone what is allowed: %s %s', (path, text) => {
  expect(violationsIn(path, text)).toEqual([])
})

it('the scanner keeps offsets and lines, and finds every kind of import', () => {
  const text =
    "import a, { type B } from 'a'\nexport { c } from \"./c.ts\"\nexport const d = 'from'\nawait import('e') // import 'f'\nimport 'g'\n"
  expect(codeOf(text)).toHaveLength(text.length)
  expect(importsOf({ path: 'x.ts', text })).toEqual([
    { specifier: 'a', line: 1 },
    { specifier: './c.ts', line: 2 },
    { specifier: 'e', line: 4 },
    { specifier: 'g', line: 5 },
  ])
})

describe('a generated section', () => {
  const section = { file: 'X.md', name: 'x', content: () => 'new' }

  it('replaces what stands between its markers and nothing else', () => {
    expect(withSection('a\n<!-- x:start -->\nold\n<!-- x:end -->\nb\n', section)).toBe(
      'a\n<!-- x:start -->\nnew\n<!-- x:end -->\nb\n',
    )
  })

  it.each(['nothing', '<!-- x:start -->', '<!-- x:end -->\n<!-- x:start -->'])('needs its markers: %j', text => {
    expect(() => withSection(text, section)).toThrow('X.md must hold <!-- x:start --> and <!-- x:end --> once')
  })
})

describe('the counts of a suite', () => {
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1, testResults: [] }

  it('come from the report', () => {
    expect(countsOf(report, true)).toEqual({ passed: 5, failed: 0, skipped: 2, failures: [] })
  })

  it('hold a failure for a file that did not load, for an error outside of a test and for a missing report', () => {
    const broken = { name: resolve('test/unit/x.test.ts'), status: 'failed', assertionResults: [] }
    expect(countsOf({ ...report, testResults: [broken, broken] }, false).failed).toBe(2)
    expect(countsOf(report, false).failed).toBe(1)
    expect(countsOf(null, false).failed).toBe(1)
  })

  it('name each failure with what it said', () => {
    const name = resolve('test/unit/x.test.ts')
    const passed = { fullName: 'a good one', status: 'passed', failureMessages: [] }
    const failed = {
      fullName: 'a bad one',
      status: 'failed',
      failureMessages: ['\u001b[31mno\u001b[39m\n  at x', 'e'.repeat(900)],
    }
    const testResults = [
      { name, status: 'failed', message: '', assertionResults: [passed, failed] },
      { name, status: 'failed', message: 'no such import', assertionResults: [] },
    ]
    expect(countsOf({ ...report, numFailedTests: 1, testResults }, false).failures).toEqual([
      expect.stringMatching(/^test\/unit\/x\.test\.ts > a bad one\n {2}no\n {4}at x\n {2}e{700,800} …$/),
      'test/unit/x.test.ts\n  no such import',
    ])
  })
})
