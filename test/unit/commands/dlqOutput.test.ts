import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { flushed, say } from '../../../src/commands/dlq/output.ts'

/** A stream whose reader takes one piece each time it is let. */
function slowStream(highWaterMark: number) {
  const waiting: (() => void)[] = []
  const taken: string[] = []
  const stream = new Writable({
    highWaterMark,
    write: (chunk, _encoding, done) => {
      waiting.push(() => {
        taken.push(String(chunk))
        done()
      })
    },
  })
  return { stream, taken, takeOne: () => waiting.shift()?.() }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

it('no more is written than the reader has taken, but for a buffer', async () => {
  const { stream, taken, takeOne } = slowStream(2)
  let said = 0
  const saying = (async () => {
    for (const text of ['a', 'b', 'c']) {
      await say(stream, text)
      said++
    }
  })()
  await turn()
  expect(said).toBe(1)
  for (let i = 0; i < 10 && said < 3; i++) {
    takeOne()
    await turn()
  }
  await saying
  expect(taken.join('')).toBe('ab')
})

it('what was written is handed over before a command ends', async () => {
  const { stream, taken, takeOne } = slowStream(1_000)
  await say(stream, 'a')
  await say(stream, 'b')
  let ended = false
  const ending = flushed(stream).then(() => {
    ended = true
  })
  takeOne()
  await turn()
  expect(ended).toBe(false)
  for (let i = 0; i < 10 && !ended; i++) {
    takeOne()
    await turn()
  }
  await ending
  expect(taken.join('')).toBe('ab')
})

it('a sink that is no stream, or a stream that holds nothing, is never waited for', async () => {
  const texts: string[] = []
  await say({ write: text => texts.push(text) }, 'a')
  await flushed({ write: () => false })
  await flushed(slowStream(1).stream)
  expect(texts).toEqual(['a'])
})
