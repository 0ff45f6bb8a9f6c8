import { insightsOf } from '../results/insights.ts'
import type { Result, ResultStatus } from '../results/result.ts'
import { isoTime, windowSizeText } from '../windows/windows.ts'
import { csvOf, measuresCsv, windowsCsv } from './csv.ts'
import {
  type Answer,
  type ApiContext,
  badParameters,
  type Endpoint,
  type Given,
  maxAgeOf,
  notFound,
  type Refusal,
  reportOf,
} from './endpoint.ts'
import { cursorOf, cursorText, momentOf, PARAMETERS, sizeMsOf, windowKeyOf } from './parameters.ts'
import { qualityCsv, qualityOf } from './quality.ts'
import { resultOf } from './resultStore.ts'
import { listOf, ref } from './schemas.ts'
import { type Page, type Selection, SizeWindows } from './sizeWindows.ts'

const FORMS = ['json', 'csv'] as const
/** A page ends with the window that brings it here, however many were asked for. */
const PAGE_BYTES = 8 * 1024 * 1024
const NOTHING_KEPT = { keptMs: 0, keptCount: 0 }

/** Every path of the API. */
export const ENDPOINTS: readonly Endpoint[] = [
  {
    path: '/api/windows',
    operationId: 'listWindows',
    summary: 'The results of windows of one size, the latest first.',
    inPath: [],
    inQuery: ['size', 'from', 'to', 'limit', 'order', 'status', 'cursor', 'format'],
    forms: FORMS,
    response: ref('WindowList'),
    answer: listWindows,
  },
  {
    path: '/api/windows/{size}/{start}',
    operationId: 'getWindow',
    summary: 'The result of one window.',
    inPath: ['size', 'start'],
    inQuery: ['format'],
    forms: FORMS,
    response: ref('Result'),
    answer: ({ size = '', start = '' }, context) => oneWindow(sizeMsOf(size), momentOf(start), context),
  },
  {
    path: '/api/windows/{key}',
    operationId: 'getWindowByKey',
    summary: 'The result of one window, by its key in the results topic.',
    inPath: ['key'],
    inQuery: ['format'],
    forms: FORMS,
    response: ref('Result'),
    answer: ({ key = '' }, context) => {
      const named = windowKeyOf(key)
      return oneWindow(named?.sizeMs ?? null, named?.startMs ?? null, context)
    },
  },
  {
    path: '/api/insights',
    operationId: 'getInsights',
    summary: 'User engagement, platforms, version adoption, geography and data quality of a window or of all history.',
    inPath: [],
    inQuery: ['size', 'window', 'format'],
    forms: FORMS,
    response: ref('Insights'),
    answer: insights,
  },
  {
    path: '/api/quality',
    operationId: 'getQuality',
    summary: 'Missing and invalid fields of windows of one size, together and by window, and the rates of the stream.',
    description: 'The sums are those of all windows from `from` to `to`; `limit` is about the windows listed.',
    inPath: [],
    inQuery: ['size', 'from', 'to', 'limit', 'order', 'status', 'cursor', 'format'],
    forms: FORMS,
    response: ref('Quality'),
    answer: quality,
  },
  {
    path: '/api/history',
    operationId: 'getHistory',
    summary: 'All windows that are held, added up.',
    description:
      'The longest windows are added up; where one is provisional or not there yet, the shorter ones within it if they already count more. Nothing is added twice.',
    inPath: [],
    inQuery: ['format'],
    forms: FORMS,
    response: ref('History'),
    answer: (_given, { store }) => ({
      json: () => JSON.stringify(store.history()),
      csv: () => measuresCsv(store.history()),
      maxAgeSeconds: 0,
    }),
  },
  {
    path: '/api/sizes',
    operationId: 'listSizes',
    summary: 'The sizes of windows, and what is held of each.',
    inPath: [],
    inQuery: ['format'],
    forms: FORMS,
    response: listOf('sizes', ref('Size')),
    answer: listSizes,
  },
]

function listSizes(_given: Given, context: ApiContext): Answer {
  const reports = allSizesMs(context).map(sizeMs => reportOf(windowsOf(sizeMs, context)))
  const head = ['size', 'windows', 'first', 'last', 'last_final'] as const
  return {
    json: () => JSON.stringify({ sizes: reports }),
    csv: () =>
      csvOf(
        head,
        reports.map(report => head.map(name => report[name])),
      ),
    maxAgeSeconds: 0,
  }
}

/** The sizes of the levels, and others of which there are results. */
function allSizesMs({ store, sizesMs }: ApiContext): number[] {
  return [...new Set([...sizesMs, ...store.sizes.map(({ sizeMs }) => sizeMs)])].sort((a, b) => a - b)
}

function windowsOf(sizeMs: number, { store }: ApiContext): SizeWindows {
  return store.windowsOf(sizeMs) ?? new SizeWindows(sizeMs, NOTHING_KEPT)
}

/** The windows of the size that is asked for, the shortest by default. */
function sizeOf({ size }: Given, context: ApiContext): SizeWindows | Refusal {
  const known = allSizesMs(context)
  const sizeMs = size === undefined ? known[0] : sizeMsOf(size)
  if (sizeMs !== undefined && sizeMs !== null && known.includes(sizeMs)) return windowsOf(sizeMs, context)
  const allowed = `one of ${known.map(windowSizeText).join(', ')}`
  return badParameters([{ name: 'size', value: size ?? null, allowed }])
}

/** Windows, and which of them, as the query says. */
type Asked = { readonly windows: SizeWindows; readonly selection: Selection; readonly range: Selection }

function selectionOf(given: Given, context: ApiContext): Asked | Refusal {
  const windows = sizeOf(given, context)
  if (!(windows instanceof SizeWindows)) return windows
  const { order = 'desc', limit = 1, status = 'provisional,final,corrected' } = given
  const fromMs = given.from === undefined ? 0 : (momentOf(given.from) as number)
  const toMs = given.to === undefined ? Number.POSITIVE_INFINITY : (momentOf(given.to) as number)
  if (toMs <= fromMs) {
    return badParameters([{ name: 'to', value: given.to ?? null, allowed: 'a time later than `from`' }])
  }
  const statuses = new Set(status.split(',') as ResultStatus[])
  const range = { fromMs, toMs, statuses, order, limit, maxBytes: PAGE_BYTES }
  if (given.cursor === undefined) return { windows, selection: range, range }
  const cursor = cursorOf(given.cursor)
  if (cursor === null || cursor.sizeMs !== windows.sizeMs || cursor.order !== order) {
    return badParameters([{ name: 'cursor', value: given.cursor, allowed: PARAMETERS.cursor.allowed }])
  }
  const rest =
    order === 'asc' ? { fromMs: Math.max(fromMs, cursor.startMs + 1) } : { toMs: Math.min(toMs, cursor.startMs) }
  return { windows, selection: { ...range, ...rest }, range }
}

/** The path and query that lead on from a page. */
function nextOf(path: string, given: Given, sizeMs: number, { windows, more }: Page): string | null {
  const last = windows.at(-1)
  if (!more || last === undefined) return null
  const cursor = cursorText({ sizeMs, order: given.order ?? 'desc', startMs: last.startMs })
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...given, cursor })) query.set(name, String(value))
  return `${path}?${query}`
}

function listWindows(given: Given, context: ApiContext): Answer | Refusal {
  const asked = selectionOf(given, context)
  if ('problem' in asked) return asked
  const page = asked.windows.select(asked.selection)
  const next = nextOf('/api/windows', given, asked.windows.sizeMs, page)
  const { order = 'desc' } = given
  return {
    // What is held is JSON already.
    json: () => {
      const head = JSON.stringify({ size: asked.windows.sizeText, order, count: page.windows.length, next })
      return `${head.slice(0, -1)},"windows":[${page.windows.map(({ json }) => json.toString()).join(',')}]}`
    },
    csv: () => windowsCsv(page.windows.map(resultOf)),
    // Also a list of windows that are final may have one more by now.
    maxAgeSeconds: 0,
    next,
  }
}

function oneWindow(sizeMs: number | null, startMs: number | null, context: ApiContext): Answer | Refusal {
  const held = sizeMs === null || startMs === null ? null : (context.store.windowsOf(sizeMs)?.get(startMs) ?? null)
  if (held === null) {
    const key = sizeMs === null || startMs === null ? 'of that name' : `${windowSizeText(sizeMs)}/${isoTime(startMs)}`
    return notFound(`there is no window ${key}; \`sizes\` says which there are`, context)
  }
  return {
    json: () => held.json.toString(),
    csv: () => windowsCsv([resultOf(held)]),
    maxAgeSeconds: maxAgeOf(held),
  }
}

function insights(given: Given, context: ApiContext): Answer | Refusal {
  const { window = 'latest' } = given
  if (window === 'all') {
    if (given.size !== undefined) {
      const allowed = 'none together with window=all, which is about all sizes'
      return badParameters([{ name: 'size', value: given.size, allowed }])
    }
    return insightsAnswer(context.store.history(), 0)
  }
  const windows = sizeOf(given, context)
  if (!(windows instanceof SizeWindows)) return windows
  const held = window === 'latest' ? windows.lastFinal() : windows.get(momentOf(window) as number)
  if (held === null) {
    const what = window === 'latest' ? 'that is final yet' : `that begins at ${window}`
    return notFound(`there is no window of ${windows.sizeText} ${what}; \`sizes\` says which there are`, context)
  }
  // Another window may be the latest at any moment.
  return insightsAnswer(resultOf(held), window === 'latest' ? 0 : maxAgeOf(held))
}

function insightsAnswer(source: Result | ReturnType<ApiContext['store']['history']>, maxAgeSeconds: number): Answer {
  const found = insightsOf(source)
  return { json: () => JSON.stringify(found), csv: () => measuresCsv(found), maxAgeSeconds }
}

function quality(given: Given, context: ApiContext): Answer | Refusal {
  const asked = selectionOf(given, context)
  if ('problem' in asked) return asked
  const page = asked.windows.select(asked.selection)
  const whole = asked.windows.select({
    ...asked.range,
    limit: Number.POSITIVE_INFINITY,
    maxBytes: Number.POSITIVE_INFINITY,
  })
  const next = nextOf('/api/quality', given, asked.windows.sizeMs, page)
  return {
    json: () =>
      JSON.stringify(
        qualityOf({
          size: asked.windows,
          whole: whole.windows,
          listed: page.windows,
          totals: context.store.streamTotals,
          next,
        }),
      ),
    csv: () => qualityCsv(asked.windows, page.windows),
    maxAgeSeconds: 0,
    next,
  }
}
