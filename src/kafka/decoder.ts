import { createRequire } from 'node:module'
import type { Settings } from '../config/settings.ts'
import type { DecodeBlock, DecodedRecord } from './wire/decodedRecords.ts'
import { decodeRecordsBy } from './wire/fetchedBatch.ts'
import type { RecordBlock } from './wire/records.ts'

const load = createRequire(import.meta.url)

/**
 * Says who decodes records for this process, from the next fetch on. Batches are checked, unpacked and filtered by our
 * own code either way: kafkajs checks no CRC, unpacks without a bound, and takes some records for the end of a
 * transaction.
 */
export function chooseDecoder(decoder: Settings['kafkaDecoder']): void {
  decodeRecordsBy(decoder === 'kafkajs' ? createKafkajsDecoder() : null)
}

type Decoder = { readVarIntBytes(): Buffer }

function createKafkajsDecoder(): DecodeBlock {
  const DecoderClass = load('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => Decoder
  const decodeRecord = load('kafkajs/src/protocol/recordBatch/record/v0/decoder.js') as (
    decoder: Decoder,
    batch: Readonly<Record<string, unknown>>,
  ) => DecodedRecord
  const { CREATE_TIME, LOG_APPEND_TIME } = load('kafkajs/src/protocol/timestampTypes.js') as Record<string, number>
  return ({ bytes, start, end, count, baseOffset, baseTimestamp, appendTime }: RecordBlock) => {
    const decoder = new DecoderClass(bytes.subarray(start, end))
    const batch = {
      firstOffset: String(baseOffset),
      firstTimestamp: String(baseTimestamp),
      maxTimestamp: appendTime === null ? null : String(appendTime),
      timestampType: appendTime === null ? CREATE_TIME : LOG_APPEND_TIME,
    }
    return Array.from({ length: count }, () => decodeRecord(new DecoderClass(decoder.readVarIntBytes()), batch))
  }
}
