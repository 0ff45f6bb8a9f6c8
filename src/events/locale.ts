import { UNKNOWN } from './fields.ts'

/** What a locale names: a US state (or the District of Columbia), a country, something else, or nothing known. */
export type LocaleKind = 'state' | 'country' | 'other' | typeof UNKNOWN

const STATES = setOf(
  'AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY',
)

/** ISO 3166-1 alpha-2, officially assigned. */
const COUNTRIES = setOf(
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ ' +
    'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR ' +
    'GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP ' +
    'KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ ' +
    'NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW ' +
    'SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ ' +
    'UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW',
)

/** A language, perhaps a script, and a region: `en-US`, `en_US`, `zh-Hant-TW`. */
const LANGUAGE_TAG = /^[a-z]{2,3}(?:[-_][a-z]{4})?[-_]([a-z]{2})$/i

/**
 * Tells apart what a locale names. A bare code that is both a state and a country is the state (`CA` is California, `DE`
 * Delaware): the field holds states, and countries for those abroad. `US-NY` is the state too, `en-CA` the country.
 */
export function localeKindOf(locale: string): LocaleKind {
  if (locale === UNKNOWN) return UNKNOWN
  const code = locale.toUpperCase()
  if (STATES.has(code)) return 'state'
  if (COUNTRIES.has(code)) return 'country'
  if (/^US[-_]/.test(code) && STATES.has(code.slice(3))) return 'state'
  const region = LANGUAGE_TAG.exec(code)?.[1]
  return region !== undefined && COUNTRIES.has(region) ? 'country' : 'other'
}

function setOf(codes: string): ReadonlySet<string> {
  return new Set(codes.split(' '))
}
