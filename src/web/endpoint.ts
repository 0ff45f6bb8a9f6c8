import type { Result } from '../results/result.ts'
import type { Form } from './negotiation.ts'
import type { ParameterName, Schema } from './parameters.ts'
import type { ResultStore } from './resultStore.ts'
import type { SizeWindows } from './sizeWindows.ts'

/** Parameters as they were validated: defaults are filled in, the others may be missing. */
export type Given = {
  readonly [name in Exclude<ParameterName, 'limit' | 'order' | 'format'>]?: string
} & { readonly limit?: number; readonly order?: 'asc' | 'desc'; readonly format?: Form }

/** What an endpoint sees of the process. */
export type ApiContext = {
  readonly store: ResultStore
  /** The sizes of all levels, ascending, milliseconds. The first is that of the base window. */
  readonly sizesMs: readonly number[]
}

/** An answer before its form is chosen; only the chosen one is made. */
export type Answer = {
  readonly json: () => string
  readonly csv?: () => string
  /** For how long the answer may be reused without asking again, seconds; 0: never. */
  readonly maxAgeSeconds: number
  /** Path and query of the next page; null when there is none. */
  readonly next?: string | null
}

export type BadParameter = { readonly name: string; readonly value: string | null; readonly allowed: string }

/** What is held of a size. */
export type SizeReport = {
  readonly size: string
  readonly windows: number
  /** Starts of the first, the last, and the last window that is not provisional; null when there is none. */
  readonly first: string | null
  readonly last: string | null
  readonly last_final: string | null
}

/** The body of every answer that is none of what was asked for. */
export type Problem = {
  readonly error: {
    readonly code: string
    readonly message: string
    /** Of 400: what is wrong with which parameter. */
    readonly parameters?: readonly BadParameter[]
    /** Of 404: what there is. */
    readonly sizes?: readonly SizeReport[]
  }
}

export type Refusal = { readonly status: 400 | 404; readonly problem: Problem }

/** One path of the API, which both the server and the OpenAPI document are made from. */
export type Endpoint = {
  /** With `{name}` for parameters in it. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly inPath: readonly ParameterName[]
  readonly inQuery: readonly ParameterName[]
  readonly forms: readonly Form[]
  /** Of the answer's JSON; may refer to `#/components/schemas/…`. */
  readonly response: Schema
  readonly answer: (given: Given, context: ApiContext) => Answer | Refusal
}

export function isRefusal(answer: Answer | Refusal): answer is Refusal {
  return 'problem' in answer
}

export function badParameters(parameters: readonly BadParameter[]): Refusal {
  const texts = parameters.map(({ name, value, allowed }) => {
    return `${name}${value === null ? '' : ` is ${JSON.stringify(shortened(value))}`}: allowed is ${allowed}`
  })
  return {
    status: 400,
    problem: { error: { code: 'bad_parameter', message: texts.join('; '), parameters } },
  }
}

export function notFound(message: string, { store }: ApiContext): Refusal {
  return { status: 404, problem: { error: { code: 'not_found', message, sizes: store.sizes.map(reportOf) } } }
}

/** Nobody needs to read back the whole of what may be thousands of characters. */
export function shortened(value: string): string {
  return value.length > 100 ? `${value.slice(0, 100)}…` : value
}

export function reportOf(windows: SizeWindows): SizeReport {
  const startOf = (held: { readonly startMs: number } | null) => {
    return held === null ? null : new Date(held.startMs).toISOString()
  }
  return {
    size: windows.sizeText,
    windows: windows.size,
    first: startOf(windows.first()),
    last: startOf(windows.last()),
    last_final: startOf(windows.lastFinal()),
  }
}

/** A provisional result may change at once; another only when it is corrected. */
export function maxAgeOf({ status }: Pick<Result, 'status'>): number {
  return status === 'provisional' ? 0 : SETTLED_SECONDS
}

const SETTLED_SECONDS = 10
