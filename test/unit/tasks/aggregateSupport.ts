import type { AggregateTaskSettings } from '../../../src/tasks/aggregateStart.ts'
import { type AggregateTask, createAggregateTaskFactory } from '../../../src/tasks/aggregateTask.ts'
import { decodeMessage, type Message, type PartialMessage, type ProgressMessage } from '../../../src/tasks/messages.ts'
import type { Capture, CaptureInput, Commit, LogRange } from '../../../src/tasks/task.ts'
import { ArrayBatch, bytesOf, recordsIn, type TestRecord } from '../support.ts'

/** Where the tests' time begins: a whole number of windows. */
export const BASE = 1_700_000_000_000
export const FIRST_WINDOW = BASE / 1000
/** Windows of 1 s, 1 s of lateness and of skew, chunks of 16. */
export const settings: AggregateTaskSettings = {
  generation: 1,
  configHash: 'abc',
  windowSizeMs: 1000,
  allowedLatenessMs: 1000,
  maxFutureSkewMs: 1000,
  chunkSize: 16,
  partialsPartitions: 2,
  idleTimeoutMs: 5000,
  limits: { dimensionValues: 10, qualityFields: 5, userSample: 8, sessionGapMs: 1000 },
  place: ip => ({ country: ip === '192.0.2.1' ? 'US' : 'unknown', region: 'unknown' }),
  maxEventBytes: 1000,
  validationRequired: ['user_id', 'timestamp'],
  outputs: { sourceTopic: 'user-login', deadLetterPartitions: 4, deadLetterMaxBytes: 10_000, enriched: null },
}

export const ALL: LogRange = { start: 0, end: 1_000_000 }

export function restore(
  commit: Commit | null = null,
  log = ALL,
  changed: Partial<AggregateTaskSettings> = {},
  now = BASE,
) {
  return createAggregateTaskFactory({ ...settings, ...changed }).restore(3, commit, log, now)
}

/** An event at `ms` after BASE, appended then too. */
export function event(offset: number, ms: number, appendedMs = ms): TestRecord {
  return { offset, timestamp: BASE + appendedMs, value: { user_id: 'u', timestamp: BASE + ms, device_type: 'ios' } }
}

export function feed(task: AggregateTask, ...records: TestRecord[]): void {
  task.process(new ArrayBatch(records, { baseOffset: task.position }), BASE)
}

export function capture(task: AggregateTask, input: Partial<CaptureInput> = {}): Capture | null {
  return task.capture({ now: BASE, sourcePartitions: 1, idleAsOf: null, ...input })
}

/** A task that has told its first commit. */
export function started(commit: Commit | null = null, log = ALL): AggregateTask {
  const task = restore(commit, log)
  capture(task)
  return task
}

export function messagesOf(captured: Capture | null): Message[] {
  const records = recordsIn(captured).filter(({ topic }) => topic === 'partials')
  return records.map(({ value }) => {
    const bytes = bytesOf(value) as Uint8Array
    return decodeMessage(bytes, 0, bytes.length) as Message
  })
}

export const partialsOf = (captured: Capture | null) =>
  messagesOf(captured).filter((message): message is PartialMessage => message.kind === 'partial')

export const progressOf = (captured: Capture | null) =>
  messagesOf(captured).filter((message): message is ProgressMessage => message.kind === 'progress')
