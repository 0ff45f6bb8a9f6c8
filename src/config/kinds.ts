/**
 * What the text of a setting may be. Every source (environment, file, default) gives text, so a value means the same
 * wherever it stands.
 */
export type Kind<T> = {
  /** What is allowed, as a phrase for error messages and the reference. */
  readonly allowed: string
  /** The value that `text` stands for; undefined when the text is not allowed. */
  readonly parse: (text: string) => T | undefined
}

const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES_PER_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): Kind<number> {
  return { allowed: `a whole number from ${min} to ${max}`, parse: text => within(wholeOf(text), min, max) }
}

/** Milliseconds, written with a unit. `orZero` allows a bare 0 beside the range from `min` to `max`. */
export function duration(min: string, max: string, orZero?: 'orZero'): Kind<number> {
  const [minMs, maxMs] = [durationOf(min), durationOf(max)]
  if (minMs === undefined || maxMs === undefined) throw new RangeError(`no durations: ${min}, ${max}`)
  return {
    allowed: `${orZero ? '0 or ' : ''}a duration from ${min} to ${max} with a unit (ms, s, m, h, d), as 1500ms or 30s`,
    parse: text => {
      const value = durationOf(text)
      return orZero && value === 0 ? 0 : within(value, minMs, maxMs)
    },
  }
}

/** Milliseconds of a window: whole seconds that divide a minute. */
export function windowDuration(): Kind<number> {
  return {
    allowed: 'a duration in whole seconds that divides a minute, as 1s, 5s, 10s, 30s or 1m',
    parse: text => {
      const value = durationOf(text)
      return value && value % 1_000 === 0 && 60_000 % value === 0 ? value : undefined
    },
  }
}

/** Milliseconds of roll-ups, ascending; `none` stands for none. */
export function durationList(min: string, max: string): Kind<readonly number[]> {
  const each = duration(min, max)
  return {
    allowed: `'none', or a comma-separated list of durations from ${min} to ${max}, ascending, as 1m,1h,1d`,
    parse: text => {
      if (text === 'none') return []
      const found = itemsOf(text).map(each.parse)
      const good = found.filter(item => item !== undefined)
      const ascends = good.every((item, i) => i === 0 || item > (good[i - 1] as number))
      return good.length === found.length && ascends ? good : undefined
    },
  }
}

/** A length and how often such a window begins, both in milliseconds. */
export type Sliding = { readonly sizeMs: number; readonly hopMs: number }

/** Sliding windows, each as size/hop. */
export function slidingWindows(): Kind<readonly Sliding[]> {
  return {
    allowed:
      'a comma-separated list of size/hop, each size a multiple of its hop and at most 100 times as long, as 5m/1m',
    parse: text => {
      const found = itemsOf(text).map(item => {
        const [size, hop, ...rest] = item.split('/')
        const [sizeMs, hopMs] = [durationOf(size ?? ''), durationOf(hop ?? '')]
        if (!sizeMs || !hopMs || rest.length > 0) return undefined
        return sizeMs > hopMs && sizeMs % hopMs === 0 && sizeMs / hopMs <= 100 ? { sizeMs, hopMs } : undefined
      })
      const good = found.filter(item => item !== undefined)
      const sizes = new Set(good.map(({ sizeMs }) => sizeMs))
      return good.length === found.length && sizes.size === good.length ? good : undefined
    },
  }
}

/** For how long windows of a size are kept, in milliseconds by the size in milliseconds. */
export function retentionBySize(): Kind<ReadonlyMap<number, number>> {
  return {
    allowed: 'a comma-separated list of <window size>=<duration>, no size twice, as 10s=2d,1m=14d',
    parse: text => {
      const kept = new Map<number, number>()
      for (const item of itemsOf(text)) {
        const [size, time, ...rest] = item.split('=')
        const [sizeMs, timeMs] = [durationOf(size ?? ''), durationOf(time ?? '')]
        if (!sizeMs || !timeMs || rest.length > 0 || kept.has(sizeMs)) return undefined
        kept.set(sizeMs, timeMs)
      }
      return kept
    },
  }
}

/** Bytes, written with a unit. */
export function size(min: string, max: string): Kind<number> {
  const [minBytes, maxBytes] = [sizeOf(min), sizeOf(max)]
  if (minBytes === undefined || maxBytes === undefined) throw new RangeError(`no sizes: ${min}, ${max}`)
  return {
    allowed: `a size from ${min} to ${max} with a unit (B, KiB, MiB, GiB), as 512KiB`,
    parse: text => within(sizeOf(text), minBytes, maxBytes),
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return { allowed: `one of ${values.join(', ')}`, parse: text => values.find(value => value === text) }
}

/** Some of `values`, separated by commas; each at most once in the result, in the order of the text. */
export function listOf<const T extends string>(...values: readonly T[]): Kind<readonly T[]> {
  return {
    allowed: `a comma-separated list of ${values.join(', ')}`,
    parse: text => {
      const found = itemsOf(text).map(item => values.find(value => value === item))
      return found.every(item => item !== undefined) ? [...new Set(found)] : undefined
    },
  }
}

/** A share of the whole, 0 to 1, written in percent. */
export function share(): Kind<number> {
  return {
    allowed: 'a share in percent from 0% to 100%, as 10% or 0.5%',
    parse: text => {
      const percent = /^([0-9]{1,3}(?:\.[0-9]{1,6})?)%$/.exec(text)
      return percent === null ? undefined : within(Number(percent[1]) / 100, 0, 1)
    },
  }
}

/** A time zone that this Node knows, by its IANA name. */
export function timeZone(): Kind<string> {
  return {
    allowed: 'an IANA time zone, as UTC or Europe/Berlin',
    parse: text => {
      try {
        return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
      } catch {
        return undefined
      }
    },
  }
}

/** A field of the event, and the name under which it is written. */
export type ChosenField = { readonly field: string; readonly as: string }

/** Fields, each optionally with the name to write it under. No name may be written twice. */
export function fieldChoice(): Kind<readonly ChosenField[]> {
  return {
    allowed: 'a comma-separated list of fields, each as <field> or <field>:<name to write>, no name twice',
    parse: text => {
      const chosen = itemsOf(text).map(item => {
        const parts = /^([^\s:,"\\]{1,128})(?::([^\s:,"\\]{1,128}))?$/.exec(item)
        return parts?.[1] === undefined ? undefined : { field: parts[1], as: parts[2] ?? parts[1] }
      })
      const good = chosen.filter(item => item !== undefined)
      return good.length === chosen.length && new Set(good.map(({ as }) => as)).size === good.length ? good : undefined
    },
  }
}

export function bool(): Kind<boolean> {
  return { allowed: 'true or false', parse: text => ({ true: true, false: false })[text] }
}

/** A topic's name by Kafka's own rules. */
export function topicName(): Kind<string> {
  return {
    allowed: 'a topic name: 1 to 249 of a-z A-Z 0-9 . _ -, but not . or ..',
    parse: text => (/^[a-zA-Z0-9._-]{1,249}$/.test(text) && !/^\.\.?$/.test(text) ? text : undefined),
  }
}

/** The name of a consumer group or a client. */
export function identifier(): Kind<string> {
  return {
    allowed: '1 to 200 of a-z A-Z 0-9 . _ -',
    parse: text => (/^[a-zA-Z0-9._-]{1,200}$/.test(text) ? text : undefined),
  }
}

/** Bootstrap brokers. IPv6 literals are left out: the client library cuts an address at its first colon. */
export function brokerList(): Kind<readonly string[]> {
  return {
    allowed: 'a comma-separated list of host:port, the port from 1 to 65535, the host a name or an IPv4 address',
    parse: text => {
      const items = itemsOf(text)
      const good = items.every(item => {
        const parts = /^([a-zA-Z0-9._-]{1,253}):([0-9]{1,5})$/.exec(item)
        return parts !== null && within(Number(parts[2]), 1, 65_535) !== undefined
      })
      return good && items.length > 0 ? items : undefined
    },
  }
}

/** Any text but the empty one. */
export function text(allowed: string): Kind<string> {
  return { allowed, parse: given => (given === '' ? undefined : given) }
}

/** The path of a file; whether it can be read is seen when it is read. */
export function filePath(): Kind<string> {
  return text('the path of a readable file')
}

function itemsOf(list: string): string[] {
  return list.split(',').map(item => item.trim())
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined
}

function wholeOf(digits: string): number | undefined {
  return /^[0-9]{1,15}$/.test(digits) ? Number(digits) : undefined
}

function durationOf(given: string): number | undefined {
  return given === '0' ? 0 : inUnits(given, MS_PER_UNIT)
}

function sizeOf(given: string): number | undefined {
  return inUnits(given, BYTES_PER_UNIT)
}

function inUnits(given: string, units: Readonly<Record<string, number>>): number | undefined {
  const parts = /^([0-9]{1,15}) ?([a-zA-Z]{1,3})$/.exec(given)
  const unit = parts?.[2] !== undefined && Object.hasOwn(units, parts[2]) ? units[parts[2]] : undefined
  const value = unit === undefined ? Number.NaN : Number(parts?.[1]) * unit
  return Number.isSafeInteger(value) ? value : undefined
}
