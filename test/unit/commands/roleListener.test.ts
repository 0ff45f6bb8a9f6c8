import { expect, it } from 'vitest'
import { listen } from '../../../src/commands/roleListener.ts'
import { TidemarkError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/telemetry/log.ts'

const CONTEXT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const IDS = { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' }
const CAPTURE = { stages: [], commit: { offset: 7, metadata: '' }, tally: null, notices: [] }
const quiet = new Proxy({}, { get: () => () => {} }) as never

/** A listener, and the lines that it has written since they were last asked for. */
function listening() {
  const lines: Record<string, unknown>[] = []
  const to = { write: (text: string) => void lines.push(JSON.parse(text)) }
  const log = createLogger({ logLevel: 'debug', logFormat: 'tidemark' }, { role: 'reduce' }, { to })
  const nameOf = (lane: number) => `1m/${lane}`
  return { on: listen({ log, telemetry: quiet, cluster: quiet, nameOf, fail: () => {} }), taken: () => lines.splice(0) }
}

it('names in each line of a capture the span under which it was told', () => {
  const { on, taken } = listening()
  on.delivered?.(3, CAPTURE, 12, CONTEXT)
  on.notice?.(3, { kind: 'partial_too_late', window: 9, partition: 1, from: 0 }, CONTEXT)
  on.failed?.(3, new TidemarkError('fenced', 'another has come'), CONTEXT)
  expect(taken()).toMatchObject([
    { event: 'flushed', partition: '1m/3', offset: 7, ms: 12, ...IDS },
    { event: 'partial_too_late', at_partition: '1m/3', window: 9, partition: 1, ...IDS },
    { event: 'restoring', partition: '1m/3', code: 'fenced', ...IDS },
  ])
})

it('names none in a line that belongs to no trace', () => {
  const { on, taken } = listening()
  on.delivered?.(3, CAPTURE, 12, null)
  on.failed?.(3, new Error('no answer'), null)
  const lines = taken()
  expect(lines).toMatchObject([
    { event: 'flushed' },
    { event: 'restoring', code: 'unknown', reason: 'Error: no answer' },
  ])
  for (const line of lines) expect(line).not.toHaveProperty('trace_id')
})
