import { expect, it } from 'vitest'
import { toRecordBatch } from '../../../src/kafka/batch.ts'
import { BatchClass } from '../../../src/kafka/patches.ts'

it('a header is the last of its name, as text, and belongs to the present record', () => {
  const message = (offset: string, headers: Record<string, Buffer | Buffer[]>) => {
    return { offset, timestamp: '5', key: null, value: Buffer.from('{}'), headers }
  }
  const messages = [
    message('7', { a: Buffer.from('one'), b: [Buffer.from('first'), Buffer.from('last')] }),
    message('8', {}),
  ]
  const batch = toRecordBatch(
    new BatchClass('t', '7', { partition: 0, highWatermark: '9', abortedTransactions: [], messages }),
  )
  batch.next()
  expect([batch.header('a'), batch.header('b'), batch.header('c')]).toEqual(['one', 'last', null])
  batch.next()
  expect(batch.header('a')).toBeNull()
})
