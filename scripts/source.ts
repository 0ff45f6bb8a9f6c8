/** A source file as the rules of the house see it: its path from the root with /, and its text. */
export type SourceFile = { readonly path: string; readonly text: string }

/** One `import`, `export ... from`, `import()` or `require()` of a file; `line` counts from 1. */
export type Import = { readonly specifier: string; readonly line: number }

const IMPORT = /\b(?:import|export|require)\b(?:[\w\s{},*$]*?\bfrom\s*|\s*\(\s*|\s*)(['"`])/g
const WORD_BEFORE_REGEXP = /\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|yield|await)\s*$/

/**
 * The text with comments and the contents of strings and regular expressions blanked out: offsets and lines stay, and
 * what is left is code. Code inside `${}` stays. A scanner and no parser: it tells a division from a regular
 * expression by what stands before, which holds for formatted code.
 */
export function codeOf(text: string): string {
  const out = text.split('')
  const blank = (from: number, to: number): void => {
    for (let i = from; i < Math.min(to, text.length); i++) if (text[i] !== '\n') out[i] = ' '
  }
  // Depths of braces at which a `${` began: its closing brace goes on with the template.
  const templates: number[] = []
  let depth = 0
  let i = 0
  while (i < text.length) {
    const char = text[i]
    const end = endOfBlank(text, i)
    if (end !== null) {
      // Quotes stay, so that imports can be found; for a comment everything goes.
      const quoted = char !== '/' || !/^\/[/*]/.test(text.slice(i, i + 2))
      blank(quoted ? i + 1 : i, quoted ? end - 1 : end)
      i = end
      continue
    }
    const closesHole = char === '}' && templates.at(-1) === depth
    if (char === '`' || closesHole) {
      if (closesHole) templates.pop()
      const stop = endOfTemplatePart(text, i + 1)
      blank(i + 1, stop.end - (stop.hole ? 2 : 1))
      if (stop.hole) templates.push(depth)
      i = stop.end
      continue
    }
    if (char === '{') depth++
    if (char === '}') depth--
    i++
  }
  return out.join('')
}

/** Where the comment, string or regular expression that begins at `start` ends; null when none begins there. */
function endOfBlank(text: string, start: number): number | null {
  const char = text[start]
  if (char === '"' || char === "'") return endOfQuoted(text, start, char)
  if (char !== '/') return null
  if (text[start + 1] === '/') return indexOrEnd(text, '\n', start)
  if (text[start + 1] === '*') return indexOrEnd(text, '*/', start + 2) + 2
  const before = text.slice(Math.max(0, start - 40), start)
  const startsRegExp = /(?:^|[([{,;=:!&|?+\-*%<>~^\n}])\s*$/.test(before) || WORD_BEFORE_REGEXP.test(before)
  return startsRegExp ? endOfRegExp(text, start) : null
}

function endOfQuoted(text: string, start: number, quote: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === quote || text[i] === '\n') return i + 1
  }
  return text.length
}

function endOfRegExp(text: string, start: number): number | null {
  let inClass = false
  for (let i = start + 1; i < text.length && text[i] !== '\n'; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
    else if (text[i] === '/' && !inClass) return i + 1
  }
  return null
}

function endOfTemplatePart(text: string, start: number): { readonly end: number; readonly hole: boolean } {
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '`') return { end: i + 1, hole: false }
    else if (text[i] === '$' && text[i + 1] === '{') return { end: i + 2, hole: true }
  }
  return { end: text.length, hole: false }
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const index = text.indexOf(wanted, from)
  return index === -1 ? text.length : index
}

/** All imports of a file, those of types too. */
export function importsOf(file: SourceFile, code = codeOf(file.text)): Import[] {
  return [...code.matchAll(IMPORT)].map(match => {
    const start = match.index + match[0].length
    const specifier = file.text.slice(start, code.indexOf(match[1] ?? "'", start))
    return { specifier, line: lineAt(file.text, start) }
  })
}

/** The line, from 1, that holds the character at `offset`. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
