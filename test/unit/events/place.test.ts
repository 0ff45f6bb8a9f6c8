import { expect, test } from 'vitest'
import { createPlaceReader, type GeoPlace } from '../../../src/events/place.ts'

const NOWHERE = { country: 'unknown', region: 'unknown' }

test('places are looked up by the address that text stands for, and what is none is nowhere', () => {
  const asked: string[] = []
  const { placeOf } = createPlaceReader(ip => {
    asked.push(ip)
    return { country: 'US', region: 'US-NY' }
  })
  const places = ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1'].map(placeOf)
  expect(places.map(({ country }) => country)).toEqual(['US', 'US', 'US'])
  expect([placeOf('unknown'), placeOf('no address')]).toEqual([NOWHERE, NOWHERE])
  expect(asked).toEqual(['192.0.2.1', '192.0.2.1', '2001:db8::1'])
})

test('a database that is replaced is asked anew, also for the address asked for last', () => {
  let place: GeoPlace = NOWHERE
  const { placeOf } = createPlaceReader(() => place)
  placeOf('192.0.2.1')
  place = { country: 'DE', region: 'DE-BE' }
  expect(placeOf('192.0.2.1')).toBe(place)
})

test('an address is read once for all who ask for it in a row', () => {
  const { addressOf, placeOf } = createPlaceReader(() => NOWHERE)
  const address = addressOf('192.0.2.77')
  placeOf('192.0.2.77')
  expect(address).toEqual({ text: '192.0.2.77', masked: '192.0.2.0' })
  expect(addressOf('192.0.2.77')).toBe(address)
  expect(addressOf('192.0.2.78')).not.toBe(address)
})
