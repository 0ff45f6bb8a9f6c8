import { DEVICES, LOCALES, UNKNOWN_DEVICE, UNKNOWN_LOCALE, UNKNOWN_VERSION, VERSIONS } from './fieldTerms.ts'
import { LAYOUT } from './kernelLayout.ts'
import type { Term } from './term.ts'

/** What the fields of events count among, by their numbers: device type, locale, version. */
export type TermField = 0 | 1 | 2

export const UNKNOWN_TERMS = [UNKNOWN_DEVICE, UNKNOWN_LOCALE, UNKNOWN_VERSION] as const
const DICTIONARIES = [DEVICES, LOCALES, VERSIONS] as const
/** The terms of what the kernel has learned, by its slots: what the events of one partition say, those of others say too. */
const noTerms = (none: Term): Term[] => new Array(1 << LAYOUT.TEXT_SLOT_BITS).fill(none)
const TERMS = [noTerms(UNKNOWN_DEVICE), noTerms(UNKNOWN_LOCALE), noTerms(UNKNOWN_VERSION)] as const

/** The term of a text that the kernel has learned, by its slot, which is negative where the field is missing. */
export function termOfField(field: TermField, slot: number): Term {
  return slot < 0 ? UNKNOWN_TERMS[field] : (TERMS[field][slot] as Term)
}

/** Takes note of which text stands in the slot from now on. */
export function setSlot(field: TermField, slot: number, text: string): void {
  TERMS[field][slot] = DICTIONARIES[field].ofText(text)
}
