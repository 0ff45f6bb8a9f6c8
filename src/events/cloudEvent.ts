/** Reads one header of the record as text; null when the record has none of that name. */
export type HeaderLookup = (name: string) => string | null

const STRUCTURED = /^application\/cloudevents\+json\s*(?:;|$)/i

/**
 * Whether a JSON object is a structured CloudEvent, whose `data` then is the login event. An object with a `user_id` of its
 * own never is: the names of an envelope's attributes have no underscore. So the headers are read for the rarest only.
 */
export function isEnvelope(value: Readonly<Record<string, unknown>>, headers: HeaderLookup | undefined): boolean {
  if (value.user_id !== undefined || value.data === undefined) return false
  return typeof value.specversion === 'string' || STRUCTURED.test(headers?.('content-type') ?? '')
}

/** The `time` of a binary CloudEvent, whose attributes are headers; undefined for other records. */
export function binaryTime(headers: HeaderLookup | undefined): unknown {
  if (headers === undefined || headers('ce_specversion') === null) return undefined
  return headers('ce_time') ?? undefined
}
