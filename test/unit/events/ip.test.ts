import { isIP } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIp, readIp } from '../../../src/events/ip.ts'
import { SEED } from '../support.ts'

test.each([
  ['199.172.111.135', '199.172.111.135', '199.172.111.0'],
  ['0.0.0.0', '0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255', '255.255.255.0'],
  ['2001:db8:1:2::3', '2001:db8:1:2::3', '2001:db8:1::'],
  ['2001:0DB8:0001:FFFF:0:0:0:1', '2001:0DB8:0001:FFFF:0:0:0:1', '2001:db8:1::'],
  ['2001:db8::1', '2001:db8::1', '2001:db8::'],
  ['2001:0:1::', '2001:0:1::', '2001:0:1::'],
  ['fe80::1', 'fe80::1', 'fe80::'],
  ['::1', '::1', '::'],
  ['0:0:7::', '0:0:7::', '0:0:7::'],
  ['::ffff:199.172.111.135', '199.172.111.135', '199.172.111.0'],
  ['::FFFF:c7ac:6f87', '199.172.111.135', '199.172.111.0'],
  ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4', '1.2.3.0'],
  ['::1.2.3.4', '::1.2.3.4', '::'],
  ['64:ff9b::1.2.3.4', '64:ff9b::1.2.3.4', '64:ff9b::'],
  // 6to4: the two groups after 2002 are an IPv4 address, here 199.172.111.135.
  ['2002:c7ac:6f87::1', '2002:c7ac:6f87::1', '2002:c7ac:6f00::'],
])('%s is looked up as %s and shown as %s', (text, lookedUp, masked) => {
  expect(readIp(text)).toEqual({ text: lookedUp, masked })
  expect(isIP(masked)).not.toBe(0)
})

test.each([
  '',
  ' ',
  'unknown',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.',
  '.1.2.3',
  '1..2.3',
  '01.2.3.4',
  '1.2.3.256',
  '1.2.3.4:80',
  '1.2.3.4 ',
  '1.2.3.4, 5.6.7.8',
  '0x1.2.3.4',
  '１.2.3.4',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  'g::',
  '1:',
  ':1',
  '1.2.3.4::',
  '::1.2.3.4:5',
  '[::1]',
  'fe80::1%eth0',
  '2001:db8::/32',
])('%j is no address', text => {
  expect(isIp(text)).toBe(false)
  expect(readIp(text)).toBeNull()
})

test('it is an address exactly when node says so, but for zones', () => {
  const group = fc.integer({ min: 0, max: 0x1ffff }).map(n => n.toString(16))
  const byte = fc.integer({ min: 0, max: 260 }).map(String)
  const near = fc.array(fc.oneof(group, byte, fc.constantFrom('', '0', '00', ':', '.', 'ffff')), { maxLength: 10 })
  const candidates = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.tuple(near, fc.constantFrom(':', '.', '::')).map(([parts, separator]) => parts.join(separator)),
    fc.string({ unit: fc.constantFrom(...'01f.:'), maxLength: 20 }),
  )
  fc.assert(
    fc.property(candidates, text => {
      expect(isIp(text)).toBe(isIP(text) !== 0)
      expect(readIp(text) !== null).toBe(isIP(text) !== 0)
    }),
    { seed: SEED, numRuns: 5_000 },
  )
})

test('a mask keeps the network and nothing else', () => {
  const value = (text: string) => {
    const url = new URL(`http://[${text}]/`)
    return url.hostname
  }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), groups => {
      const isMapped = groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff
      fc.pre(!isMapped && groups[0] !== 0x2002)
      const text = groups.map(group => group.toString(16)).join(':')
      const network = [...groups.slice(0, 3), 0, 0, 0, 0, 0].map(group => group.toString(16)).join(':')
      // The URL parser compresses as RFC 5952 does.
      expect(value(readIp(text)!.masked)).toBe(value(network))
    }),
    { seed: SEED },
  )
})
