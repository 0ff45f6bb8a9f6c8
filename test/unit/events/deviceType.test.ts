import fc from 'fast-check'
import { expect, test } from 'vitest'
import { recountDeviceType } from '../../../src/audit/devices.ts'
import { deviceTypeOf, deviceTypeTable } from '../../../src/events/deviceType.ts'
import { SEED } from '../support.ts'

const CHROME = '(KHTML, like Gecko) Chrome/120.0.0.0'

test.each([
  ['android', 'android Android ANDROID android_tablet', ' '],
  [
    'android',
    'Android 14|Android Tablet|Samsung Galaxy Tab S9|SM-X710|Pixel 8 Pro|Nexus 7|Kindle Fire|Fire HD 10|okhttp/4.12.0',
    '|',
  ],
  ['ios', 'ios iOS iPhone iPad iPadOS ipod iPhone14,2 iOS17 ios_app', ' '],
  ['ios', 'iPad Pro (12.9-inch)|iPadOS 17.2|MyApp/3.1 CFNetwork/1485 Darwin/23.1.0| iPhone |iphone 15 pro max', '|'],
  ['tv', 'tv TV tvOS AppleTV androidtv FireTV Roku roku_express Chromecast WebOS Tizen smart-tv SmartTV', ' '],
  ['tv', 'Apple TV 4K|Android TV|Google TV|Fire TV Stick|Amazon Fire Stick|LG TV|Roku/DVP-14.5 (14.5.0)', '|'],
  ['web', 'web Web browser chrome Firefox Safari desktop Windows macOS Mac Linux PC Chromebook', ' '],
  ['other', 'watch apple_watch console fridge blackberry kaios toaster Xbox PlayStation5 mobile tablet phone', ' '],
  ['other', 'Wear OS|Windows Phone 10|Nintendo Switch|Apple Vision Pro|安卓', '|'],
  ['unknown', 'unknown Unknown UNKNOWN n/a N/A none null undefined - ?', ' '],
  ['unknown', '|   |', '|'],
])('%s: %s', (type, texts, separator) => {
  for (const text of texts.split(separator)) expect([text, deviceTypeOf(text)]).toEqual([text, type])
})

test.each([
  ['web', `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 ${CHROME} Safari/537.36 Edg/120.0.0.0`],
  [
    'web',
    `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15`,
  ],
  ['web', 'Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0'],
  ['web', `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 ${CHROME} Safari/537.36`],
  [
    'ios',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  ],
  [
    'ios',
    'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0 Mobile/15E148',
  ],
  ['android', `Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 ${CHROME} Mobile Safari/537.36`],
  ['android', `Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 ${CHROME} Safari/537.36`],
  ['android', 'Dalvik/2.1.0 (Linux; U; Android 12; KFTRWI Build/PS7328)'],
  ['tv', 'Dalvik/2.1.0 (Linux; U; Android 7.1.2; AFTMM Build/NS6265)'],
  ['tv', `Mozilla/5.0 (Linux; Android 12; Chromecast) AppleWebKit/537.36 ${CHROME} CrKey/1.56`],
  [
    'tv',
    'Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36',
  ],
  ['tv', `Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 ${CHROME} Safari/537.36 WebAppManager`],
  [
    'other',
    `Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) like iPhone AppleWebKit/537.36 Edge/15`,
  ],
  [
    'other',
    'Mozilla/5.0 (PlayStation; PlayStation 5/5.50) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari',
  ],
])('%s is what this user agent tells: %s', (type, agent) => expect(deviceTypeOf(agent)).toBe(type))

test('the naive recount reads every text the same', () => {
  const words = [...deviceTypeTable().matchAll(/`([^`]+)`/g)].map(match => match[1] as string)
  const piece = fc.oneof(
    fc.constantFrom(...words),
    fc.constantFrom(...words).map(word => word.toUpperCase()),
    fc.constantFrom('', ' ', '-', '/', '_', '1', '14', 'x', 'İ', 'ſ', 'K'),
    fc.string({ maxLength: 4, unit: 'grapheme' }),
  )
  const texts = fc.array(piece, { maxLength: 6 }).map(pieces => pieces.join(''))
  fc.assert(
    fc.property(texts, text => {
      expect(recountDeviceType(text)).toBe(deviceTypeOf(text))
    }),
    { seed: SEED, numRuns: 3_000 },
  )
})
