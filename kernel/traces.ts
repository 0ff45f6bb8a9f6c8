import { HEADER_COUNT, HEADERS_AT } from './layout'
import { position, seek, varint } from './numbers'

/** A context's last digit is its lowest flags. */
const FLAGS_AT: usize = 54

/** Whether a header of the row's record may hold a context that is sampled; whoever wants to know looks closer. */
export function mayBeSampled(row: usize): bool {
  seek(<usize>load<i32>(row, HEADERS_AT))
  for (let left = load<i32>(row, HEADER_COUNT); left > 0; left--) {
    const nameLength = varint()
    const name = position()
    seek(name + <usize>nameLength)
    const length = varint()
    const value = position()
    if (length > 0) seek(value + <usize>length)
    if (isTraceparent(name, nameLength) && length > <i32>FLAGS_AT && isOdd(load<u8>(value, FLAGS_AT))) return true
  }
  return false
}

/** `traceparent`, or as the header of a CloudEvent `ce_traceparent`. */
function isTraceparent(name: usize, length: i32): bool {
  const plain = length === 14 && load<u16>(name) === 0x6563 && load<u8>(name, 2) === 0x5f ? name + 3 : name
  if (length !== 11 && plain === name) return false
  return load<u64>(plain) === 0x7261706563617274 && load<u32>(plain, 7) === 0x746e6572
}

/** Whether a hexadecimal digit in small letters is odd; anything else counts as such. */
function isOdd(digit: u32): bool {
  return digit - 0x30 <= 9 ? (digit & 1) !== 0 : (digit & 1) === 0 || digit - 0x61 > 5
}
