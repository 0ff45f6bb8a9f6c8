export type Column = {
  readonly head: string
  /** Numbers stand at the right. */
  readonly right?: boolean
  /** Columns are left out where the width does not hold them all: the greatest of these first; never those without one. */
  readonly drop?: number
}

/** A cell: its text, and how it is painted once its place is known. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string }

const GAP = '  '
const LEAST_WIDTH = 6

/**
 * Lines of at most `width` columns, the first of them the heads. Columns are left out as they say; if that is not enough
 * the widest is cut, which ends with an ellipsis then.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  paintHead: (text: string) => string,
): string[] {
  const widths = columns.map(({ head }, at) => {
    return Math.max(head.length, ...rows.map(row => textOf(row[at] as Cell).length))
  })
  const shown = fitting(columns, widths, width)
  shrink(widths, shown, width)
  const line = (cells: readonly Cell[]) => {
    const placed = shown.map(at =>
      paintOf(cells[at] as Cell)(fill(textOf(cells[at] as Cell), widths[at] as number, columns[at])),
    )
    return placed.join(GAP).trimEnd()
  }
  return [paintHead(line(columns.map(({ head }) => head))), ...rows.map(line)]
}

function fitting(columns: readonly Column[], widths: readonly number[], width: number): number[] {
  let shown = [...columns.keys()]
  while (lengthOf(widths, shown) > width) {
    const [last] = shown
      .filter(at => columns[at]?.drop !== undefined)
      .sort((a, b) => (columns[b]?.drop ?? 0) - (columns[a]?.drop ?? 0))
    if (last === undefined) break
    shown = shown.filter(at => at !== last)
  }
  return shown
}

function shrink(widths: number[], shown: readonly number[], width: number): void {
  for (let over = lengthOf(widths, shown) - width; over > 0; over = lengthOf(widths, shown) - width) {
    const widest = shown.reduce((a, b) => ((widths[b] as number) > (widths[a] as number) ? b : a))
    const least = Math.max(LEAST_WIDTH, (widths[widest] as number) - over)
    if (least >= (widths[widest] as number)) return
    widths[widest] = least
  }
}

function lengthOf(widths: readonly number[], shown: readonly number[]): number {
  return shown.reduce((sum, at) => sum + (widths[at] as number), 0) + GAP.length * Math.max(0, shown.length - 1)
}

function fill(text: string, width: number, column: Column | undefined): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text
  return column?.right === true ? cut.padStart(width) : cut.padEnd(width)
}

const textOf = (cell: Cell) => (typeof cell === 'string' ? cell : cell.text)
const paintOf = (cell: Cell) => (typeof cell === 'string' ? (text: string) => text : cell.paint)
