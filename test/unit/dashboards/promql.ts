/** What an expression of PromQL reads: the series by name and matched labels, and the labels that it groups or joins by. */
export type Read = {
  readonly series: readonly { readonly name: string; readonly labels: readonly string[] }[]
  readonly groupings: readonly string[]
}

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\$\w+|\d+(?:\.\d+)?(?:[smhdw]\b|e\d+)?|[A-Za-z_:][\w:]*|=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},]/gy

const FUNCTIONS = new Set(
  'sum min max avg count group topk rate increase deriv changes histogram_quantile time vector ceil label_replace'.split(
    ' ',
  ),
)
const GROUPINGS = new Set('by without on ignoring group_left group_right'.split(' '))
const KEYWORDS = new Set('and or unless bool offset'.split(' '))

/**
 * Reads so much of PromQL as the dashboards use.
 * @throws Error at a word, a function or a bracket that it does not know: what it cannot read it cannot vouch for
 */
export function readPromql(expr: string): Read {
  const tokens = tokensOf(expr)
  balanced(tokens, expr)
  const series: { name: string; labels: string[] }[] = []
  const groupings: string[] = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (!/^[A-Za-z_:]/.test(token) || KEYWORDS.has(token)) continue
    const next = tokens[at + 1]
    if (GROUPINGS.has(token)) {
      const end = tokens.indexOf(')', at)
      groupings.push(...tokens.slice(at + 2, end).filter(word => word !== ','))
      at = end
    } else if (next === '(' || GROUPINGS.has(next ?? '')) {
      if (!FUNCTIONS.has(token)) throw new Error(`no function that is known here: ${token} in ${expr}`)
    } else {
      const end = next === '{' ? tokens.indexOf('}', at) : at
      series.push({ name: token, labels: matchersOf(tokens.slice(at + 2, end), expr) })
      at = end
    }
  }
  return { series, groupings }
}

function tokensOf(expr: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < expr.length) {
    const from = TOKEN.lastIndex
    const token = TOKEN.exec(expr)?.[0]
    if (token === undefined) throw new Error(`not PromQL at ${from}: ${expr}`)
    if (token.trim() !== '') tokens.push(token)
  }
  return tokens
}

const CLOSES: Readonly<Record<string, string>> = { '(': ')', '{': '}' }

function balanced(tokens: readonly string[], expr: string): void {
  const open: string[] = []
  for (const token of tokens) {
    const closing = CLOSES[token]
    if (closing !== undefined) open.push(closing)
    else if ((token === ')' || token === '}') && open.pop() !== token) throw new Error(`${token} too much: ${expr}`)
  }
  if (open.length > 0) throw new Error(`${open.join(' ')} missing: ${expr}`)
}

/** Of `name="value",other=~"value"` the names. */
function matchersOf(tokens: readonly string[], expr: string): string[] {
  const labels: string[] = []
  for (let at = 0; at < tokens.length; at += 4) {
    const [label = '', operator = '', value = '', comma] = tokens.slice(at, at + 4)
    const well = /^[a-z_]\w*$/.test(label) && /^(?:=|!=|=~|!~)$/.test(operator) && value.startsWith('"')
    if (!well || (comma !== undefined && comma !== ','))
      throw new Error(`no matcher: ${label}${operator}${value} in ${expr}`)
    labels.push(label)
  }
  return labels
}
