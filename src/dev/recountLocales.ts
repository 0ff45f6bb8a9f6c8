const STATES = new Set(
  (
    'AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC ' +
    'SD TN TX UT VT VA WA WV WI WY DC'
  ).split(' '),
)
/** Regions that have a name but are no countries of ISO 3166-1: groups of countries, islands without a code, what was once. */
const NO_COUNTRIES = new Set(
  'AC AN BU CP CQ CS DD DG DY EA EU EZ FX HV IC NH QO RH SU TA TP UK UN VD XA XB XK YD YU ZR ZZ'.split(' '),
)
const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
const known = new Map<string, string>()

/** The naive recount's own telling of what a locale names: `state`, `country`, `other` or `unknown`. */
export function recountLocaleKind(locale: string): string {
  if (known.size > 10_000) known.clear()
  const kind = known.get(locale) ?? kindOf(locale)
  known.set(locale, kind)
  return kind
}

function kindOf(locale: string): string {
  if (locale === 'unknown') return locale
  const parts = locale.toUpperCase().split(/[-_]/)
  const [first = '', second = ''] = parts
  if (parts.length === 1 && STATES.has(first)) return 'state'
  if (parts.length === 1) return isCountry(first) ? 'country' : 'other'
  if (parts.length === 2 && first === 'US' && STATES.has(second)) return 'state'
  const hasScript = parts.length === 3 && /^[A-Z]{4}$/.test(second)
  const isTag = /^[A-Z]{2,3}$/.test(first) && (parts.length === 2 || hasScript)
  return isTag && isCountry(parts.at(-1) ?? '') ? 'country' : 'other'
}

function isCountry(code: string): boolean {
  return /^[A-Z]{2}$/.test(code) && !NO_COUNTRIES.has(code) && regionNames.of(code) !== undefined
}
