import { TidemarkError } from '../../src/errors.ts'
import { SimulatedBatch } from './broker.ts'
import type { Owner } from './owner.ts'
import type { Random } from './random.ts'

/** Gives an owner what follows in its log, at most `limit` records; tells whether there was anything. */
export function deliverNext(owner: Owner, limit: number, random: Random | null): boolean {
  const { log } = owner.slot
  const from = owner.fetchPosition
  if (from < log.start) {
    const lost = new TidemarkError('delivery_failed', 'the log no longer holds the position', { retriable: true })
    void owner.runner.startOver(lost)
    return true
  }
  const damage = log.damageAfter(from)
  if (damage !== undefined && from >= damage.from) return skipDamage(owner, { from, to: damage.to })
  const end = Math.min(log.stableEnd, damage?.from ?? Number.POSITIVE_INFINITY)
  if (from >= end) return false
  const records = log.read(from, limit)
  const lastOffset = records.at(-1)?.offset
  if (lastOffset === undefined) {
    owner.fetchPosition = end
    if (random?.chance(0.5)) owner.runner.deliver(new SimulatedBatch(from, end, []))
    else owner.runner.advance(from, end)
    return true
  }
  // The broker gives whole batches: what precedes the offset asked for may come along, and holes behind the last record.
  const whole = random?.chance(0.2)
    ? [...log.read(Math.max(log.start, from - 3), 3).filter(r => r.offset < from), ...records]
    : records
  const atEnd = log.read(lastOffset + 1, 1).length === 0
  const next = atEnd && (random === null || random.chance(0.5)) ? end : lastOffset + 1
  const batch = new SimulatedBatch(from, next, whole)
  owner.fetchPosition = next
  owner.lastBatch = batch
  owner.runner.deliver(batch)
  return true
}

/** As with CORRUPT_BATCHES=skip. */
function skipDamage(owner: Owner, range: { readonly from: number; readonly to: number }): boolean {
  return owner.runner.skipCorrupt({ ...range, bytes: null })
}

/** Gives an owner a batch that it did not ask for: one again, one from before a seek, one behind a batch that was lost. */
export function deliverStray(owner: Owner, random: Random): void {
  const before = owner.runner.task?.position
  stray(owner, random)
  const after = owner.runner.task?.position
  // It happened to be the next one: fetching goes on behind it.
  if (after !== undefined && after !== before) owner.fetchPosition = after
}

function stray(owner: Owner, random: Random): void {
  const { log } = owner.slot
  if (owner.lastBatch !== null && random.chance(0.5)) {
    owner.runner.deliver(owner.lastBatch.again())
    return
  }
  const from = random.between(log.start, log.end)
  const records = log.read(from, random.between(1, 6))
  const last = records.at(-1)
  if (last === undefined) {
    // What cannot be read is never passed over as if nothing were there.
    if (log.damageAfter(from) === undefined) owner.runner.advance(from, log.stableEnd)
  } else owner.runner.deliver(new SimulatedBatch(from, last.offset + 1, records))
}
