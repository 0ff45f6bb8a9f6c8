import { numberText, type ToldFigure } from './figure.ts'
import type { Machine } from './machine.ts'

const HEAD = ['', 'what', 'value', 'target', '', 'peer in the same run', 'ratio', 'note']

/** Prints the figures for people, in columns. */
export function printTable(
  machine: Machine,
  figures: readonly ToldFigure[],
  out: { write(text: string): unknown },
): void {
  const { date, cores, cpu, memory_gib, node, kafka } = machine
  const rows = [HEAD, ...figures.map(rowOf)]
  const widths = HEAD.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  out.write(`\n${date} · ${cores} x ${cpu}, ${memory_gib} GiB · Node ${node} · Kafka ${kafka} on the same machine\n`)
  out.write(`${lines.join('\n')}\n`)
}

function rowOf({ section, name, value, unit, target, met, peer, ratio, note }: ToldFigure): string[] {
  const limit =
    target === null ? '' : 'least' in target ? `>= ${numberText(target.least)}` : `<= ${numberText(target.most)}`
  return [
    section,
    name,
    `${numberText(value)} ${unit}`,
    limit,
    met === null ? '' : met ? 'met' : 'MISSED',
    peer === null ? '' : `${peer.name} ${numberText(peer.value)}`,
    ratio === null ? '' : ratio.toFixed(2),
    note,
  ]
}
