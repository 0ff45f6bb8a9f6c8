import { describe, expect, it } from 'vitest'
import { createPlaceStates, NO_PLACE, Places } from '../../../../src/kafka/wire/places.ts'

const SIZE = 1_024

/** Three places, as the main thread has them and as another one does. */
function shared() {
  const memory = new SharedArrayBuffer(4 * SIZE)
  const parts = [0, 1, 2].map(i => Buffer.from(memory, (i + 1) * SIZE, SIZE))
  const states = createPlaceStates(parts.length)
  return { memory, main: new Places(parts, states), thread: new Places(parts, states, true) }
}

describe('places', () => {
  it('are taken by one thread and given back by the other, once they are lent', () => {
    const { main, thread } = shared()
    expect([thread.take(), main.take(), thread.take(), thread.take(), main.take()]).toEqual([0, 1, 2, -1, -1])
    // Nobody on this side has it yet.
    main.giveBack(0)
    expect(thread.take()).toBe(NO_PLACE)
    thread.lend(0)
    // Nor on that one any more.
    thread.giveBack(0)
    expect(thread.take()).toBe(NO_PLACE)
    main.giveBack(0)
    expect(thread.take()).toBe(0)
    thread.giveBack(0)
    expect(thread.take()).toBe(0)
  })

  it('that a thread was filling are free again after its end, and no others', () => {
    const { main, thread } = shared()
    const lent = thread.take()
    thread.lend(lent)
    expect([thread.take(), main.take()]).toEqual([1, 2])
    main.takeBackFilling()
    expect([main.take(), main.take()]).toEqual([1, NO_PLACE])
  })

  it('are known by any byte of theirs', () => {
    const { memory, main } = shared()
    const placeOf = (at: number) => main.placeOf(new Uint8Array(memory, at, 1))
    expect([0, SIZE - 1, SIZE, 2 * SIZE - 1, 2 * SIZE, 4 * SIZE - 1].map(placeOf)).toEqual([-1, -1, 0, 0, 1, 2])
    expect(main.placeOf(new Uint8Array(4 * SIZE).subarray(SIZE + 1))).toBe(NO_PLACE)
    expect([main.size, main.bytes(1, 10).length, main.placeOf(main.bytes(1, 10))]).toEqual([SIZE, 10, 1])
  })

  it('tell what was found in them, to whoever they are lent to and to nobody after that', () => {
    const { main, thread } = shared()
    thread.take()
    thread.take()
    const bytes = main.bytes(1, 200).subarray(20)
    for (const at of [20, 120]) thread.tellSound(1, 2 * SIZE + at)
    thread.lend(1)
    const found = () => [0, 20, 99, 100, 101].filter(start => main.isSound(bytes, start))
    expect(found()).toEqual([0, 100])
    expect([0, 20, 100, 120].filter(start => main.isSound(main.bytes(0, 200), start))).toEqual([])
    expect(main.isSound(Buffer.from(bytes), 0)).toBe(false)
    main.giveBack(1)
    expect(thread.take()).toBe(1)
    expect(found()).toEqual([])
    thread.tellSound(1, 2 * SIZE + 119)
    expect(found()).toEqual([99])
  })

  it('tell of a number of batches, and of no more', () => {
    const { main, thread } = shared()
    thread.take()
    thread.take()
    for (let at = 0; at < 300; at++) thread.tellSound(0, SIZE + at)
    thread.tellSound(1, 2 * SIZE)
    const sound = (place: number) => Array.from({ length: 300 }, (_, at) => main.isSound(main.bytes(place, 300), at))
    expect(sound(0).lastIndexOf(true)).toBe(253)
    expect(sound(0).indexOf(false)).toBe(254)
    expect(sound(1).flatMap((isSound, at) => (isSound ? [at] : []))).toEqual([0])
  })
})
