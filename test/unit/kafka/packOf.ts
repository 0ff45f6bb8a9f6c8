import { PackedRecords, packHeader } from '../../../src/tasks/packedRecords.ts'
import type { RecordHeader } from '../../../src/tasks/recordBatch.ts'

/** A pack of records, each given as its key, its value and its headers. */
export function packOf(
  ...records: readonly (readonly [key: string, value: string, headers?: readonly RecordHeader[]])[]
) {
  const packed = new PackedRecords()
  for (const [key, value, headers = []] of records) {
    packed.beginKey()
    packed.out.text(key)
    packed.endKey()
    packed.beginValue()
    packed.out.text(value)
    packed.endValue()
    packed.out.varint(headers.length)
    for (const header of headers) packHeader(packed.out, header)
    packed.endRecord()
  }
  return packed
}
