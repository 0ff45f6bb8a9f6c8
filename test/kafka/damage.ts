import { globSync, readFileSync, writeFileSync } from 'node:fs'

/** What the log on disk holds of one record batch. */
export type BatchOnDisk = { readonly baseOffset: number; readonly bytes: Buffer }

const LOG_OVERHEAD = 12

/** The record batches of a partition's only segment, in order. */
export function batchesOnDisk(dataDir: string, topic: string, partition: number): BatchOnDisk[] {
  const log = readFileSync(segmentOf(dataDir, topic, partition))
  const batches: BatchOnDisk[] = []
  for (let at = 0; at + LOG_OVERHEAD < log.length; ) {
    const end = at + LOG_OVERHEAD + log.readInt32BE(at + 8)
    batches.push({ baseOffset: Number(log.readBigInt64BE(at)), bytes: log.subarray(at, end) })
    at = end
  }
  return batches
}

/**
 * Changes bytes of a record batch in the log of a broker, which may be running: it reads the same pages, and checks none of
 * them on a fetch. Changing them twice in the same way mends them.
 * @param change gets the batch from its base offset on
 */
export function damageBatch(
  dataDir: string,
  topic: string,
  { partition, batch }: { readonly partition: number; readonly batch: number },
  change: (bytes: Buffer) => void,
): void {
  const file = segmentOf(dataDir, topic, partition)
  const batches = batchesOnDisk(dataDir, topic, partition)
  const target = batches[batch]
  if (target === undefined) throw new Error(`${file} holds ${batches.length} batches`)
  change(target.bytes)
  writeFileSync(file, Buffer.concat(batches.map(({ bytes }) => bytes)), { flag: 'r+' })
}

function segmentOf(dataDir: string, topic: string, partition: number): string {
  const [file, ...others] = globSync(`${dataDir}/**/${topic}-${partition}/*.log`)
  if (file === undefined || others.length > 0) throw new Error(`${topic}-${partition} has not just one segment`)
  return file
}
