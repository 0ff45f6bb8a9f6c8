import { EventSlice } from '../../../../src/events/eventSlice.ts'
import { createEventParser, type EventParser, type EventRules } from '../../../../src/events/parse.ts'
import { blockOf, type LoggedRecord } from '../../recordBlock.ts'

/** Records around the one that is read: a short one, and one whose value would go on with what is cut off before it. */
const BEFORE: LoggedRecord = { offset: 0, timestamp: 0, value: Buffer.from('{"user_id":"') }
const BEHIND: LoggedRecord = { offset: 2, timestamp: 0, value: Buffer.from('":"}}{"user_id":"v","timestamp":1}') }
const ROW = 1

/** Reads values as a task does: those that a slice reads by the slice, the rest by the parser from the slice's bytes. */
export class SliceParser {
  readonly slice: EventSlice
  readonly #parse: EventParser
  /** Whether it was the slice that read the value given last. */
  hasRead = false

  constructor(rules: EventRules, keepFields = false) {
    this.slice = new EventSlice(rules, keepFields)
    this.#parse = createEventParser(rules, keepFields)
  }

  /** An event that it fills is good until the next value is given to any of them: all slices share their bytes. */
  readonly parse: EventParser = (bytes, start, end, event, headers) => {
    const value = start < 0 ? null : bytes.subarray(start, end)
    const block = blockOf([BEFORE, { offset: ROW, timestamp: 0, value }, BEHIND])
    const { slice } = this
    slice.take(block.bytes, block.start, block.end, block.count, block)
    this.hasRead = slice.size > ROW && slice.read(ROW, event)
    if (this.hasRead) return null
    if (slice.size <= ROW) return this.#parse(bytes, start, end, event, headers)
    return this.#parse(slice.bytes, slice.valueStart(ROW), slice.valueEnd(ROW), event, headers)
  }
}
