/**
 * The naive recount's own reading of the table of device types: the first line of which a word is found decides. A word
 * with `=` must be the whole text, one with `~` may stand anywhere once all but letters and digits is taken out, and any
 * other must be a word of the text, with or without its digits.
 */
const TABLE: readonly (readonly [type: string, words: string])[] = [
  ['unknown', '=unknown =n/a =na =none =null =undefined =- =?'],
  [
    'other',
    '~watch ~wearos ~androidwear ~windowsphone ~iemobile ~xbox ~playstation ps3 ps4 ps5 ~nintendo console ~visionos ~visionpro ~oculus quest ~fridge',
  ],
  [
    'tv',
    'tv ~tvos ~appletv ~androidtv ~googletv ~smarttv ~hbbtv ~television ~firetv ~firestick afta aftb aftka aftm aftmm aftn aftr afts aftss aftsss aftt ' +
      '~roku ~chromecast crkey ~tizen ~webos ~web0s ~netcast ~vidaa ~bravia ~viera',
  ],
  ['ios', 'ios ~iphone ~ipad ~ipod ~cfnetwork'],
  ['android', '~android galaxy sm pixel nexus ~kindlefire ~fireos ~firehd ~firetablet ~dalvik ~okhttp'],
  [
    'web',
    '~web ~browser ~mozilla ~chrome ~chromium ~firefox ~safari ~opera opr edge edg pwa ~desktop ~laptop pc ~windows win ~macos ~macintosh ~macbook mac ~linux ~ubuntu cros',
  ],
]

const known = new Map<string, string>()

export function recountDeviceType(text: string): string {
  if (known.size > 10_000) known.clear()
  const type = known.get(text) ?? typeOf(text)
  known.set(text, type)
  return type
}

function typeOf(text: string): string {
  const lower = text.trim().toLowerCase()
  if (lower === '') return 'unknown'
  const squeezed = Array.from(lower)
    .filter(character => /[a-z0-9]/.test(character))
    .join('')
  const spaced = ` ${lower.replace(/[^a-z]/g, ' ')} | ${lower.replace(/[^a-z0-9]/g, ' ')} `
  const fits = (word: string) => {
    if (word.startsWith('=')) return lower === word.slice(1)
    if (word.startsWith('~')) return squeezed.includes(word.slice(1))
    return spaced.includes(` ${word} `)
  }
  return TABLE.find(([, words]) => words.split(' ').some(fits))?.[0] ?? 'other'
}
