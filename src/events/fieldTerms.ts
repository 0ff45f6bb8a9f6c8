import { type DeviceType, deviceTypeOf } from './deviceType.ts'
import { MAX_LENGTHS, UNKNOWN } from './fields.ts'
import { Term } from './term.ts'
import { Terms } from './terms.ts'
import { versionCategory } from './version.ts'

/** One for each of the few types: there is no other term of a device. */
const DEVICE_TYPES: readonly DeviceType[] = ['unknown', 'android', 'ios', 'web', 'tv', 'other']
const DEVICE_TERMS = new Map(DEVICE_TYPES.map((type, id) => [type, new Term(id, type)]))

/** The terms of what events hold, shared by all partitions of a process. A device's term is that of its type. */
export const DEVICES = new Terms(MAX_LENGTHS.device_type, (_, text) => DEVICE_TERMS.get(deviceTypeOf(text)) as Term)
export const LOCALES = new Terms(MAX_LENGTHS.locale, (id, text) => new Term(id, text))
export const VERSIONS = new Terms(MAX_LENGTHS.app_version, (id, text) => new Term(id, text, versionCategory(text)))

/** Of a field that was missing or invalid. */
export const UNKNOWN_DEVICE = DEVICE_TERMS.get(UNKNOWN) as Term
export const UNKNOWN_LOCALE = new Term(0, UNKNOWN)
export const UNKNOWN_VERSION = new Term(0, UNKNOWN, versionCategory(UNKNOWN))
