import { describe, expect, it } from 'vitest'
import { rowsOf } from '../../observability/faults/commands.ts'
import { commandsOf, dividedCommand, looksOf, sectionOf } from '../../observability/faults/document.ts'

const PAGE = `# A page

## 1. One

First:

\`\`\`sh
q 'a'
q 'b'
\`\`\`

\`\`\`text
{}  1
\`\`\`

1. Then.

   ### Deeper

   \`\`\`sh
   if true; then
     q 'c'
   fi
   \`\`\`

## 2. Two

\`\`\`sh
q 'd'
\`\`\`
`

describe('a section', () => {
  it('goes up to the next heading of its level, and no further', () => {
    expect(commandsOf(sectionOf(PAGE, '## 1. One'))).toEqual(["q 'a'\nq 'b'", "if true; then\n  q 'c'\nfi"])
    expect(commandsOf(sectionOf(PAGE, '## 2. Two'))).toEqual(["q 'd'"])
  })

  it('that is not there is an error', () => {
    expect(() => sectionOf(PAGE, '## 3. Three')).toThrow("no heading '## 3. Three'")
  })
})

describe('a command', () => {
  it('looks back by as much less, and by nothing else', () => {
    expect(dividedCommand("q 'rate(a{b=\"5m\"}[5m])' && curl -s '/x?size=10s'", 60)).toBe(
      "q 'rate(a{b=\"5m\"}[5000ms])' && curl -s '/x?size=10s'",
    )
  })
})

describe('the looks of a page', () => {
  it('are the commands in its sentences, with the names filled in that are known', () => {
    const text = 'Ask `q \'a{role="<role>"}\'` or `tm status`, and `sql "select 1"`; `TidemarkGap` is none.'
    expect(looksOf(text)).toEqual([`q 'a{role="aggregate"}'`, 'tm status', 'sql "select 1"'])
  })

  it('leave out what changes something, and what only a person can fill in', () => {
    const text = '`tm dlq redrive --all`, `tm audit --window <key>`, `kafka topics --alter`, `logs sink`'
    expect(looksOf(text)).toEqual(['logs sink'])
  })
})

describe('the rows of an answer', () => {
  it('are its series, whatever else was printed', () => {
    const printed = 'Tidemark\n{"role":"a  b"}  0.5\n{}  +Inf\n{\n  "live": true\n}\n'
    expect(rowsOf(printed)).toEqual([
      { labels: { role: 'a  b' }, value: 0.5 },
      { labels: {}, value: Number.POSITIVE_INFINITY },
    ])
  })
})
