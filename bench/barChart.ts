import { type Bar, numberText } from './figure.ts'

const WIDTH = 900
const LABELS = 330
const VALUES = 90
const ROW = 26
const BAR = 16
const TOP = 44
const GAP = 30
const OURS = '#0b6e99'
const OTHERS = '#9aa5ad'

/** A picture of bars in groups, each the longest first, all on one scale. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const groups = Map.groupBy(bars, ({ group }) => group)
  const most = Math.max(1, ...bars.map(({ eventsPerSecond }) => eventsPerSecond))
  const parts: string[] = []
  let y = TOP
  for (const [group, own] of groups) {
    parts.push(text(16, y + 14, group, 'font-weight="600"'))
    y += ROW
    for (const bar of [...own].sort((a, b) => b.eventsPerSecond - a.eventsPerSecond)) {
      parts.push(...barOf(bar, y, most))
      y += ROW
    }
    y += GAP - ROW / 2
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="13">
<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>
${text(16, 26, title, 'font-size="16" font-weight="600"')}
${parts.join('\n')}
</svg>
`
}

function barOf({ label, eventsPerSecond }: Bar, y: number, most: number): string[] {
  const length = ((WIDTH - LABELS - VALUES) * eventsPerSecond) / most
  const colour = label.startsWith('Tidemark') ? OURS : OTHERS
  return [
    text(LABELS - 10, y + 13, label, 'text-anchor="end"'),
    `<rect x="${LABELS}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="2" fill="${colour}"/>`,
    text(LABELS + length + 6, y + 13, numberText(Math.round(eventsPerSecond)), ''),
  ]
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="#1b2327" ${attributes}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
