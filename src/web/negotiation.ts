import { createHash } from 'node:crypto'

export type Form = 'json' | 'csv'

const TYPES: Readonly<Record<Form, string>> = { json: 'application/json', csv: 'text/csv' }

/**
 * The form that an Accept header prefers (RFC 9110), JSON where it has no preference; null when it takes neither.
 */
export function preferredForm(accept: string | undefined, forms: readonly Form[]): Form | null {
  if (accept === undefined || accept.trim() === '') return forms[0] ?? null
  const ranges = accept.split(',').map(rangeOf)
  const weights = forms.map(form => ({ form, weight: weightOf(TYPES[form], ranges) }))
  const best = weights.reduce((a, b) => (b.weight > a.weight ? b : a))
  return best.weight > 0 ? best.form : null
}

type Range = { readonly type: string; readonly weight: number }

function rangeOf(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map(part => part.trim().toLowerCase())
  const quality = parameters.find(parameter => parameter.startsWith('q='))?.slice(2)
  const weight = quality === undefined ? 1 : Number(quality)
  return { type, weight: weight >= 0 && weight <= 1 ? weight : 0 }
}

/** The weight of the most precise range that a type lies in. */
function weightOf(type: string, ranges: readonly Range[]): number {
  const main = type.slice(0, type.indexOf('/'))
  for (const precise of [type, `${main}/*`, '*/*']) {
    const found = ranges.find(range => range.type === precise)
    if (found !== undefined) return found.weight
  }
  return 0
}

/** A strong ETag: other bytes have another one. */
export function etagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
}

/** Whether If-None-Match names what would be sent (RFC 9110: weakly compared, so that a proxy's weak mark does no harm). */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some(known => known.trim().replace(/^W\//, '') === etag)
}
