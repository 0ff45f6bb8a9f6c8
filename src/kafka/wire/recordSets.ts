/** Of a fetch request, in Kafka's protocol. */
export const FETCH_KEY = 1

/** Those that tell of a partition as is read here; the first that has record batches of version 2, and the last that kafkajs knows. */
const FIRST_VERSION = 4
const LAST_VERSION = 11
const WITH_LOG_START = 5
const WITH_SESSION = 7
const WITH_REPLICA = 11

/**
 * Where the record batches of each partition stand in a fetch response: the correlation id i32, the throttle i32, (error i16,
 * session id i32,) by topic its name and by partition its number i32, error i16, high watermark i64, last stable offset i64,
 * (log start i64,) aborted transactions of 16 bytes each, (a replica's id i32,) and the batches. Arrays begin with their
 * count, i32, names with their length, i16, and batches with theirs, i32. Ends where the bytes do, whatever they say.
 * @param version of the request; of an unknown one nothing is told
 */
export function findRecordSets(
  response: Buffer,
  version: number,
  onRecordSet: (start: number, end: number) => void,
): void {
  if (version < FIRST_VERSION || version > LAST_VERSION) return
  let at = version < WITH_SESSION ? 8 : 14
  const size = (bytes: number) => {
    const before = at
    at += bytes
    if (at > response.length) return 0
    return bytes === 2 ? response.readInt16BE(before) : response.readInt32BE(before)
  }
  const skip = (bytes: number) => {
    at += Math.max(0, bytes)
  }
  const isThere = () => at <= response.length
  for (let topics = size(4); topics > 0 && isThere(); topics--) {
    skip(size(2))
    for (let partitions = size(4); partitions > 0 && isThere(); partitions--) {
      skip(4 + 2 + 8 + 8 + (version < WITH_LOG_START ? 0 : 8))
      skip(16 * size(4))
      skip(version < WITH_REPLICA ? 0 : 4)
      const length = size(4)
      const start = at
      skip(length)
      if (length > 0 && isThere()) onRecordSet(start, at)
    }
  }
}
