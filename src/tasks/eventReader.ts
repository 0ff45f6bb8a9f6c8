import type { RejectionCode } from '../events/codes.ts'
import type { EventSlice } from '../events/eventSlice.ts'
import { createEventParser, type EventParser, emptyEvent, type LoginEvent } from '../events/parse.ts'
import type { Ipv4Lookup } from '../events/place.ts'
import { ipv4PlacesBy, placeOfEvent } from '../events/placeTerms.ts'
import type { Term } from '../events/term.ts'
import type { AggregateTaskSettings } from './aggregateStart.ts'
import type { RecordBatch } from './recordBatch.ts'

/** The row of a record that is in no slice: its batch shows it. */
export const NO_ROW = -1

/** Reads the events of one partition's records: of a slice, or one by one where a batch has none. */
export class EventReader {
  /** Filled again by each call; read it before the next. */
  readonly event: LoginEvent = emptyEvent()
  readonly slice: EventSlice
  readonly ipv4Places: Ipv4Lookup
  /** Whether all records are asked for more than what counting their events needs. */
  readonly asksRecords: boolean
  /** Whether a record that is read by itself is to be shown. */
  readonly #shows: boolean
  readonly #settings: AggregateTaskSettings
  readonly #parse: EventParser

  /** @param slice for the records of all partitions, one batch at a time */
  constructor(settings: AggregateTaskSettings, slice: EventSlice) {
    const isEnriched = settings.outputs.enriched !== null
    this.#settings = settings
    this.slice = slice
    this.ipv4Places = settings.ipv4Places ?? ipv4PlacesBy(settings.place)
    this.asksRecords = isEnriched
    this.#shows = isEnriched || settings.traced === true
    this.#parse = createEventParser(settings, isEnriched)
  }

  /**
   * Fills `event`, or says why the record holds none. The batch then shows the record, too, where it may be asked for.
   * @param row where the record stands in the slice, or NO_ROW
   */
  read(batch: RecordBatch, row: number): RejectionCode | null {
    const isRead = row !== NO_ROW && this.slice.read(row, this.event)
    if (row !== NO_ROW && (!isRead || this.#shows)) batch.show(row)
    if (isRead) return null
    return this.#parse(batch.valueBytes, batch.valueStart, batch.valueEnd, this.event, batch.header)
  }

  /** Where the event came from. */
  place(): Term {
    return placeOfEvent(this.event, this.#settings.place, this.ipv4Places)
  }
}
