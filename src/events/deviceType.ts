/** What every device type becomes. */
export type DeviceType = 'android' | 'ios' | 'web' | 'tv' | 'other' | 'unknown'

/** In lower case: the whole text is one of `texts`, or its letters and digits alone hold one of `parts`, or it has one of `words`. */
type Rule = {
  readonly type: DeviceType
  readonly texts?: readonly string[]
  readonly parts?: readonly string[]
  /** Compared with each run of letters, and with each run of letters and digits. */
  readonly words?: readonly string[]
}

const list = (text: string) => text.split(' ')

/**
 * The rules in the order in which they are tried: the first that fits decides. The narrower come before the wider, for a
 * user agent names many things: that of a Fire TV names Android too, and that of every phone a browser.
 */
const RULES: readonly Rule[] = [
  { type: 'unknown', texts: ['', ...list('unknown n/a na none null undefined - ?')] },
  {
    type: 'other',
    parts: list(
      'watch wearos androidwear windowsphone iemobile xbox playstation nintendo visionos visionpro oculus fridge',
    ),
    words: list('ps3 ps4 ps5 quest console'),
  },
  {
    type: 'tv',
    parts: list(
      'appletv androidtv googletv firetv smarttv hbbtv tvos firestick roku chromecast tizen webos web0s netcast vidaa bravia viera television',
    ),
    words: list('tv crkey afta aftb aftka aftm aftmm aftn aftr afts aftss aftsss aftt'),
  },
  { type: 'ios', parts: list('iphone ipad ipod cfnetwork'), words: list('ios') },
  {
    type: 'android',
    parts: list('android kindlefire fireos firehd firetablet dalvik okhttp'),
    words: list('galaxy pixel nexus sm'),
  },
  {
    type: 'web',
    parts: list(
      'web browser mozilla chrome chromium firefox safari opera desktop laptop windows macos macintosh macbook linux ubuntu',
    ),
    words: list('edge edg opr pwa pc mac win cros'),
  },
]

const CACHE_LIMIT = 4096
const cache = new Map<string, DeviceType>()

/** The device type that a text names, from `iPhone`, `iPadOS` or `Fire TV` to whole user agents. */
export function deviceTypeOf(text: string): DeviceType {
  let type = cache.get(text)
  if (type === undefined) {
    type = workOut(text.trim().toLowerCase())
    // User agents come in any number: what is rare is worked out again.
    if (cache.size >= CACHE_LIMIT) cache.clear()
    cache.set(text, type)
  }
  return type
}

function workOut(lower: string): DeviceType {
  const squeezed = lower.replace(/[^a-z0-9]+/g, '')
  const words = new Set([...lower.split(/[^a-z]+/), ...lower.split(/[^a-z0-9]+/)])
  for (const { type, texts, parts, words: named } of RULES) {
    if (texts?.includes(lower)) return type
    if (parts?.some(part => squeezed.includes(part))) return type
    if (named?.some(word => words.has(word))) return type
  }
  return 'other'
}

/** The rules as a Markdown table for the README, in their order. */
export function deviceTypeTable(): string {
  const code = (items: readonly string[] | undefined) => (items ?? []).map(item => `\`${item}\``).join(', ')
  const rows = RULES.map(({ type, texts, parts, words }) => {
    const whole = code(texts?.filter(text => text !== ''))
    return `| \`${type}\` | ${whole} | ${code(parts)} | ${code(words)} |`
  })
  return [
    '| Device type | The whole text is | Its letters and digits hold | One of its words is |',
    '| --- | --- | --- | --- |',
    ...rows,
    '| `other` | anything else | | |',
  ].join('\n')
}
