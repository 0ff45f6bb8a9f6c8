import { type DeadLetter, failedAtOf, letterId } from '../../kafka/deadLetters.ts'
import { REDRIVE_OF } from '../../kafka/redrive.ts'
import type { RecordHeader } from '../../tasks/recordBatch.ts'
import { maskKey, maskValue, reveal, type Shown } from './masking.ts'

const CONTROLS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const LETTER_ID = /^\d+\/\d+$/
const COLUMNS = [12, 24, 20, 28, 18] as const

/** The text without anything that a terminal would obey or that turns the direction of what is read. */
export function printable(text: string): string {
  return text.replace(CONTROLS, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** JSON on one line that a terminal does not obey either; it parses to the same value. */
export function jsonLine(value: unknown): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value).replace(CONTROLS, character => character.split('').map(escaped).join(''))
}

/** One row of a table; a text wider than its column pushes the rest of its row. */
function row(cells: readonly string[]): string {
  return cells.map((cell, i) => printable(cell).padEnd(COLUMNS[i] ?? 0)).join('  ')
}

export const LIST_HEAD = row(['LETTER', 'FAILED AT', 'CODE', 'SOURCE', 'KEY', 'BYTES'])

/** A letter in the table of `dlq list`, without personal data. */
export function listRow(letter: DeadLetter): string {
  const { failure, key, value } = letter
  const source = failure === null ? '-' : `${failure.sourceTopic}/${failure.sourcePartition}@${failure.sourceOffset}`
  const cells = [letterId(letter), isoTime(failedAtOf(letter)), failure?.code ?? '-', source, maskKey(key) ?? '-']
  return row([...cells, value === null ? '-' : String(value.length)])
}

/** A letter as `dlq list --json` tells it, without personal data. */
export function listed(letter: DeadLetter): Readonly<Record<string, unknown>> {
  const { failure, key, value } = letter
  return {
    letter: letterId(letter),
    failed_at: isoTime(failedAtOf(letter)),
    code: failure?.code ?? null,
    source: failure && {
      topic: failure.sourceTopic,
      partition: failure.sourcePartition,
      offset: failure.sourceOffset,
      timestamp: failure.sourceTimestamp < 0 ? null : isoTime(failure.sourceTimestamp),
    },
    key: maskKey(key),
    value_bytes: value === null ? null : value.length,
  }
}

/** A whole letter as `dlq show --json` tells it. */
export function shown(letter: DeadLetter, revealed: boolean): Readonly<Record<string, unknown>> {
  const { failure, key, value, originalHeaders } = letter
  return {
    ...listed(letter),
    message: failure?.message ?? null,
    whole_value_bytes: failure?.wholeBytes ?? value?.length ?? null,
    masked: !revealed,
    key: revealed ? reveal(key) : maskKey(key),
    headers: originalHeaders.map(header => [header[0], revealed ? reveal(header[1]) : maskHeader(header)]),
    value: revealed ? reveal(value) : maskValue(value, contentTypeOf(originalHeaders)),
  }
}

/** A whole letter for people. */
export function showText(letter: DeadLetter, revealed: boolean): string {
  const { failure, value } = letter
  const whole = shown(letter, revealed) as { key: Shown; value: Shown; headers: readonly [string, Shown][] }
  const lines = [`letter ${letterId(letter)}`]
  const add = (name: string, text: string) => lines.push(`  ${name.padEnd(9)}  ${printable(text)}`)
  add('failed at', isoTime(failedAtOf(letter)))
  if (failure === null) add('code', '- (not written by Tidemark)')
  else {
    const { code, message, sourceTopic, sourcePartition, sourceOffset, sourceTimestamp } = failure
    add('code', `${code}: ${message}`)
    const written = sourceTimestamp < 0 ? '' : `, written ${isoTime(sourceTimestamp)}`
    add('source', `${sourceTopic}/${sourcePartition}@${sourceOffset}${written}`)
  }
  add('key', told(whole.key))
  for (const [name, text] of whole.headers) add('header', `${name}: ${told(text)}`)
  const cut = failure?.wholeBytes == null ? '' : ` (cut; the whole has ${failure.wholeBytes} bytes)`
  add('value', `${value === null ? 'null' : `${value.length} bytes`}${cut}`)
  if (value !== null)
    lines.push(`    ${typeof whole.value === 'string' ? printable(whole.value) : jsonLine(whole.value)}`)
  return lines.join('\n')
}

const told = (value: Shown): string => (value === null ? '-' : typeof value === 'string' ? value : jsonLine(value))

function maskHeader([name, value]: RecordHeader): string | null {
  if (value === null) return null
  // Ours as well, from an earlier redrive, when it looks like ours.
  const text = name === REDRIVE_OF ? reveal(value) : null
  if (typeof text === 'string' && LETTER_ID.test(text)) return text
  return `<${typeof value === 'string' ? Buffer.byteLength(value) : value.length} bytes>`
}

function contentTypeOf(headers: readonly RecordHeader[]): string | null {
  const value = headers.findLast(([name]) => name === 'content-type')?.[1] ?? null
  const text = reveal(value)
  return typeof text === 'string' ? text : null
}

/** A moment outside of what a date can hold (a producer may have written anything) is told as a number. */
function isoTime(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? String(timeMs) : date.toISOString()
}
