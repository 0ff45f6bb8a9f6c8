/**
 * What many events say alike of themselves: one object stands for each text of a field, so that counting it compares
 * neither text nor bytes. Ids are small numbers of a dictionary's own, taken again once it was emptied: two terms with one
 * id are the same only if they are the same object, and two terms with one text may be two objects.
 */
export class Term {
  /** From 0 on. */
  readonly id: number
  readonly text: string
  /** What follows from the text and is counted beside it: the category of a version, the region of a country; else empty. */
  readonly derived: string

  constructor(id: number, text: string, derived = '') {
    this.id = id
    this.text = text
    this.derived = derived
  }
}

/** Counts terms. */
export type TermCounter = { add(term: Term, count: number): void }
