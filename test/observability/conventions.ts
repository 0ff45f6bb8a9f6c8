import * as conventions from '@opentelemetry/semantic-conventions/incubating'

/** Every attribute of OpenTelemetry's semantic conventions; of a template, as `k8s.pod.label`, its beginning. */
const KNOWN = new Set(
  Object.entries(conventions as Record<string, unknown>)
    .filter(([name]) => name.startsWith('ATTR_'))
    .flatMap(([, value]) => (typeof value === 'string' ? [value] : [])),
)
const OWN = 'tidemark.'

/** Of these names of attributes those that are neither of the semantic conventions nor our own. */
export function unknownAttributes(names: Iterable<string>): string[] {
  return [...new Set(names)].filter(name => !KNOWN.has(name) && !name.startsWith(OWN))
}
