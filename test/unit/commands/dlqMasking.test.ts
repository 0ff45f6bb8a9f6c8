import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maskId, maskKey, maskValue, reveal } from '../../../src/commands/dlq/masking.ts'
import { jsonLine, printable, shown, showText } from '../../../src/commands/dlq/print.ts'
import type { DeadLetter } from '../../../src/kafka/deadLetters.ts'
import { SEED } from '../support.ts'

const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

const letterOf = (parts: Partial<DeadLetter>): DeadLetter => ({
  partition: 0,
  offset: 1,
  timestamp: 0,
  key: null,
  value: null,
  originalHeaders: [],
  failure: null,
  ...parts,
})

describe('masking', () => {
  it.each([
    ['0b6f1c2a-5e0c-4d5a-9a40-9c1f2f6f8f11', '0b…(36)'],
    ['12345678', '12…(8)'],
    ['alice', '…(5)'],
    ['', '…(0)'],
    ['a😀6789012', 'a…(10)'],
  ])('an id keeps two characters and its length: %s', (id, masked) => {
    expect(maskId(id)).toBe(masked)
  })

  it('a key may be an id, an address or bytes', () => {
    expect(maskKey(bytes('someone@example.com'))).toBe('so…(19)')
    expect(maskKey(bytes('199.172.111.7'))).toBe('199.172.111.0')
    expect(maskKey(Buffer.from([0xff, 0xfe]))).toMatch(/^<2 bytes, sha256 [0-9a-f]{16}…>$/)
    expect(maskKey(null)).toBeNull()
  })

  it('of an event what tells nobody apart is shown, of unknown fields the types', () => {
    const event = {
      user_id: 12345678901,
      device_id: '593-47-5928',
      ip: '2001:db8:1:2::3',
      device_type: 'android',
      locale: 'RU',
      app_version: '2.3.0',
      timestamp: '1694479551',
      email: 'a@b.c',
      tags: ['a@b.c'],
      nested: { user_id: 'x' },
      flag: true,
      nothing: null,
    }
    expect(maskValue(bytes(event), null)).toEqual({
      user_id: '12…(11)',
      device_id: '59…(11)',
      ip: '2001:db8:1::',
      device_type: 'android',
      locale: 'RU',
      app_version: '2.3.0',
      timestamp: '1694479551',
      email: '<string>',
      tags: '<array>',
      nested: '<object>',
      flag: '<boolean>',
      nothing: null,
    })
  })

  it('fields that are not what their names say are told by their types', () => {
    const event = {
      timestamp: 'a@b.c',
      locale: 'x'.repeat(65),
      ip: 'a@b.c, really',
      user_id: ['a@b.c'],
      device_type: {},
    }
    expect(maskValue(bytes(event), null)).toEqual({
      timestamp: '<string>',
      locale: '<string>',
      ip: 'a@…(13)',
      user_id: '<array>',
      device_type: '<object>',
    })
  })

  it("a CloudEvent's data is masked as an event", () => {
    const envelope = { specversion: '1.0', subject: 'a@b.c', data: { user_id: '0123456789', data: { user_id: 'x' } } }
    const masked = { subject: '<string>', data: { user_id: '01…(10)', data: '<object>' } }
    expect(maskValue(bytes(envelope), null)).toEqual({ specversion: '<string>', ...masked })
    const { specversion: _, ...byHeader } = envelope
    expect(maskValue(bytes(byHeader), 'application/cloudevents+json')).toEqual(masked)
    expect(maskValue(bytes(byHeader), null)).toEqual({ subject: '<string>', data: '<object>' })
  })

  it.each([
    '{"user_id": "alice',
    '"alice"',
    '["alice"]',
    '12345',
    '\ufeff{"user_id":"alice"}',
    `${'['.repeat(100_000)}`,
  ])('what is no JSON object is told by length and digest: %.20s', text => {
    const masked = maskValue(bytes(text), null)
    expect(masked).toMatch(new RegExp(`^<${bytes(text).length} bytes, sha256 [0-9a-f]{16}…>$`))
    expect(maskValue(bytes(text), null)).toBe(masked)
  })

  it('many fields and long names are cut; __proto__ is a name like others', () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, i]))
    const masked = maskValue(bytes(many), null) as Record<string, unknown>
    expect(Object.keys(masked)).toHaveLength(51)
    expect(masked['…']).toBe('<10 more fields>')
    expect(Object.keys(maskValue(bytes({ ['n'.repeat(100)]: 1 }), null) as object)).toEqual([`${'n'.repeat(64)}…(100)`])
    expect(jsonLine(maskValue(bytes('{"__proto__":"x"}'), null))).toBe('{"__proto__":"<string>"}')
  })

  it('no text of a key, a header or a personal field is told, whatever the letter holds', () => {
    const secret = fc.string({ minLength: 3, maxLength: 40 }).map(text => `SECRET${text}SECRET`)
    const json = fc.letrec(tie => ({
      any: fc.oneof({ depthSize: 'small' }, secret, fc.array(tie('any')), fc.dictionary(fc.constant('k'), tie('any'))),
    })).any
    const event = fc.record(
      { user_id: json, device_id: json, ip: json, email: json, timestamp: json, data: json, specversion: json },
      { requiredKeys: [] },
    )
    const value = fc.oneof(event.map(bytes), secret.map(bytes), json.map(bytes))
    fc.assert(
      fc.property(value, secret, secret, (value, key, header) => {
        const letter = letterOf({ value, key: bytes(key), originalHeaders: [['redrive.of', bytes(header)]] })
        for (const text of [jsonLine(shown(letter, false)), showText(letter, false)])
          expect(text).not.toContain('SECRET')
        expect(jsonLine(shown(letter, true))).toContain('SECRET')
      }),
      { seed: SEED },
    )
  })
})

describe('what is printed', () => {
  it('bytes revealed are text or base64', () => {
    expect(reveal(bytes('é'))).toBe('é')
    expect(reveal(Buffer.from([0xff]))).toEqual({ base64: '/w==' })
    expect(reveal(null)).toBeNull()
  })

  it('obeys no terminal, and JSON stays the same value', () => {
    const text = 'a\u001b[2J\u009b\u202e\u2028\u{e0001}é😀"\\'
    expect(printable(text)).toBe('a\\u{1b}[2J\\u{9b}\\u{202e}\\u{2028}\\u{e0001}é😀"\\')
    expect(jsonLine({ text })).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(JSON.parse(jsonLine({ text }))).toEqual({ text })
  })

  it('our own header of an earlier redrive is shown, and a cut value said', () => {
    const letter = letterOf({
      value: bytes('{"user_id'),
      originalHeaders: [
        ['redrive.of', '3/17'],
        ['trace', null],
        ['content-type', 'text'],
      ],
      failure: {
        code: 'too_large',
        message: 'too long',
        sourceTopic: 'user-login',
        sourcePartition: 2,
        sourceOffset: 5,
        sourceTimestamp: Number.MAX_SAFE_INTEGER,
        failedAt: 0,
        wholeBytes: 99,
      },
    })
    expect(shown(letter, false)).toMatchObject({
      headers: [
        ['redrive.of', '3/17'],
        ['trace', null],
        ['content-type', '<4 bytes>'],
      ],
      value_bytes: 9,
      whole_value_bytes: 99,
    })
    const text = showText(letter, false)
    expect(text).toContain('value      9 bytes (cut; the whole has 99 bytes)')
    // A time that no calendar holds is told as it is.
    expect(text).toContain(`source     user-login/2@5, written ${Number.MAX_SAFE_INTEGER}`)
    expect(text).toContain('failed at  1970-01-01T00:00:00.000Z')
  })
})
