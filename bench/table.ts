import { numberText, type ToldFigure, targetText } from './figure.ts'
import { type Machine, machineText } from './machine.ts'

const HEAD = ['', 'what', 'value', 'target', '', 'peer in the same run', 'ratio', 'note']

/** Prints the figures for people, in columns. */
export function printTable(
  machine: Machine,
  figures: readonly ToldFigure[],
  out: { write(text: string): unknown },
): void {
  const rows = [HEAD, ...figures.map(rowOf)]
  const widths = HEAD.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  out.write(`\n${machineText(machine)}\n`)
  out.write(`${lines.join('\n')}\n`)
}

function rowOf({ section, name, value, unit, target, met, peer, ratio, note }: ToldFigure): string[] {
  return [
    section,
    name,
    `${numberText(value)} ${unit}`,
    targetText({ target }),
    met === null ? '' : met ? 'met' : 'MISSED',
    peer === null ? '' : `${peer.name} ${numberText(peer.value)}`,
    ratio === null ? '' : ratio.toFixed(2),
    note,
  ]
}
