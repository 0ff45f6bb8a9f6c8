import type { RecordHeader } from '../../tasks/recordBatch.ts'
import type { Random } from './random.ts'

/** The fields of an event in the order in which they are written, without its time. */
export type Device = {
  readonly user_id: string
  readonly app_version: string
  readonly device_type: string
  readonly ip: string
  readonly locale: string
  readonly device_id: string
}

/** One login as the app on a device sends it. */
export type WrittenEvent = { readonly value: Buffer; readonly headers: readonly RecordHeader[] }

/** An app as it writes logins: always in the same way. Times are epoch milliseconds. */
export type Client = {
  write(random: Random, time: number): WrittenEvent
}

export const NO_HEADERS: readonly RecordHeader[] = []

/** The plain form: the seven fields in their order, and the time mostly as seconds in digits, now and then otherwise. */
export function plainClient(device: Device): Client {
  const prefix = `${JSON.stringify(device).slice(0, -1)},"timestamp":`
  return {
    // Everything that is written here is ASCII, and this is the fastest way to bytes.
    write: (random, time) => ({
      value: Buffer.from(`${prefix}${timestampText(random, time)}}`, 'latin1'),
      headers: NO_HEADERS,
    }),
  }
}

/** The JSON text of a timestamp. */
export function timestampText(random: Random, time: number): string {
  const draw = random.below(10)
  if (draw < 7) return `"${Math.floor(time / 1000)}"`
  if (draw === 7) return String(Math.floor(time / 1000))
  if (draw === 8) return String(time)
  return `"${new Date(time).toISOString()}"`
}

/** How else apps tell the time, as JSON. */
const TIME_FORMS: readonly ((time: number) => string)[] = [
  time => String(time / 1000),
  time => `"${time}"`,
  time => `"${(time / 1000).toFixed(3)}"`,
  time => `"${new Date(time).toISOString().slice(0, -1)}"`,
  time => `"${new Date(time).toISOString().replace('T', ' ')}"`,
  time => `"${new Date(time + 7_200_000).toISOString().slice(0, -1)}+02:00"`,
  time => `"${new Date(time - 19_800_000).toISOString().slice(0, -5)}-0530"`,
  time => `"${new Date(time).toISOString().slice(0, -5)}z"`,
]

const SPELLINGS: readonly string[] = [
  ...['Android', 'ANDROID', 'android_tablet', 'Galaxy S23', 'SM-G991B', 'Pixel 8', 'okhttp/4.12.0'],
  ...['iOS', 'iPhone', 'iPhone15,2', 'iPad', 'iPadOS', 'com.example.app/3 CFNetwork/1410.0.3 Darwin/22.6.0'],
  ...['Web', 'Chrome', 'desktop', 'macOS', 'Windows 11', 'Linux'],
  ...['Android TV', 'AppleTV', 'Fire TV Stick', 'Roku Express', 'smart-tv', 'AFTMM', 'webOS'],
  ...['Apple Watch', 'PlayStation 5', 'smart fridge', 'toaster', 'n/a', 'Неизвестно', '电视'],
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0',
  'Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0',
  'Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/7.0 TV Safari/537.36',
  'Mozilla/5.0 (Linux; Android 9; AFTKA) AppleWebKit/537.36 (KHTML, like Gecko) Silk/118.3 like Chrome/118.0 Safari/537.36',
]

const LOCALES = ['en-US', 'en_GB', 'US-NY', 'pt-BR', 'zh-Hant-TW', 'fr', 'CA', 'de', 'xx-YY', 'Ελλάδα']
const VERSIONS = [
  'v2.4',
  '2',
  '2.3.0-rc.1+build.7',
  'release-3.1',
  '10.0.0.1',
  '2023.08.1',
  'nightly',
  '99999999999999999.1',
]

/** What apps send beside; of a field that enrichment makes itself none may stay. */
const EXTRAS: readonly (readonly [name: string, value: unknown])[] = [
  ['session', { id: 'a1', started: 1694477555.25, flags: [true, null, []] }],
  ['city', 'São Paulo'],
  ['greeting', 'Γειά σου 👋🏽 "quoted" \\ \u2028 \t'],
  ['battery', 0.07],
  ['retries', -1e-7],
  ['campaign', null],
  ['tags', ['new', '', 'beta']],
  ['country', 'Atlantis'],
  ['hour_of_day', 99],
  ['__proto__', { polluted: true }],
  ['Locale', 'not the locale'],
]

/** An app that writes otherwise than the plain form: what it says is all valid, or counts as unknown. */
export function variedClient(random: Random, plain: Device): Client {
  const device = variedDevice(random, plain)
  const timeText = TIME_FORMS[random.below(TIME_FORMS.length)]!
  const extras = EXTRAS.filter(() => random.below(4) === 0)
  // JSON.stringify of a `__proto__` made by fromEntries writes it as a field like others.
  const fields = Object.fromEntries([...extras, ...Object.entries(device)])
  const body = JSON.stringify(fields).slice(0, -1)
  const form = random.below(5)
  if (form === 0) return structuredClient(body, device.device_type, timeText, random.below(2) === 0)
  if (form === 1) return binaryClient(body, device.device_type, timeText, random.below(2) === 0)
  if (form === 2) return tracedClient(body, timeText)
  return {
    write: (_, time) => ({ value: Buffer.from(`${body},"timestamp":${timeText(time)}}`), headers: NO_HEADERS }),
  }
}

function variedDevice(random: Random, device: Device): Device {
  const pick = (texts: readonly string[]) => texts[random.below(texts.length)]!
  return {
    ...device,
    app_version: random.below(4) === 0 ? pick(VERSIONS) : device.app_version,
    device_type: pick(SPELLINGS),
    ip: variedIp(random, device.ip),
    locale: random.below(4) === 0 ? pick(LOCALES) : device.locale,
  }
}

function variedIp(random: Random, ip: string): string {
  const group = () => random.below(65_536).toString(16)
  const form = random.below(8)
  if (form < 3) return `2001:${group()}:${group()}:${group()}::${group()}`
  if (form === 3) return `2A02:${group()}:${group()}:1:2:3:4:${group()}`.toUpperCase()
  if (form === 4) return `::ffff:${ip}`
  if (form === 5) return `2002:${group()}:${group()}::1`
  if (form === 6) return `::${group()}`
  return ip
}

/** A CloudEvent in one JSON object. The login's time is in its data, or the event's own. */
function structuredClient(body: string, source: string, timeText: (time: number) => string, timed: boolean): Client {
  const type = '"specversion":"1.0","type":"com.example.login","datacontenttype":"application/json"'
  const prefix = `{${type},"source":${JSON.stringify(`/apps/${source}`)},"data":${body}`
  const headers: readonly RecordHeader[] = [['content-type', 'application/cloudevents+json; charset=UTF-8']]
  return {
    write: (random, time) => {
      const data = timed ? `,"timestamp":${timeText(time)}}` : '}'
      const text = `${prefix}${data},"id":"${random.hex(16)}","time":"${new Date(time).toISOString()}"}`
      return { value: Buffer.from(text), headers }
    },
  }
}

/** A CloudEvent whose attributes are headers. */
function binaryClient(body: string, source: string, timeText: (time: number) => string, timed: boolean): Client {
  const fixed: readonly RecordHeader[] = [
    ['content-type', 'application/json'],
    ['ce_specversion', '1.0'],
    ['ce_type', 'com.example.login'],
    ['ce_source', `/apps/${source}`],
  ]
  return {
    write: (random, time) => ({
      value: Buffer.from(timed ? `${body},"timestamp":${timeText(time)}}` : `${body}}`),
      headers: [...fixed, ['ce_id', random.hex(16)], ['ce_time', new Date(time).toISOString()]],
    }),
  }
}

/** Headers as tracing and gateways add them: names that come again, bytes that are no text, and none at all. */
function tracedClient(body: string, timeText: (time: number) => string): Client {
  const fixed: readonly RecordHeader[] = [
    ['via', 'edge-1'],
    ['via', 'gateway'],
    ['digest', Buffer.from([0xff, 0x00, 0x80])],
    ['empty', ''],
  ]
  return {
    write: (random, time) => ({
      value: Buffer.from(`${body},"timestamp":${timeText(time)}}`),
      headers: [['traceparent', `00-${random.hex(32)}-${random.hex(16)}-01`], ...fixed],
    }),
  }
}
