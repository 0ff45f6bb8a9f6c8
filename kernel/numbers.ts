// Numbers of records, which have ends: whoever put the records there has made sure of that.

let at: usize = 0

/** Where the next number is read from. */
export function seek(to: usize): void {
  at = to
}

/** Behind the last number. */
export function position(): usize {
  return at
}

export function varint(): i32 {
  let byte: u32 = load<u8>(at++)
  let value: u32 = byte & 0x7f
  for (let shift: u32 = 7; byte >= 0x80 && shift < 35; shift += 7) {
    byte = load<u8>(at++)
    value |= (byte & 0x7f) << shift
  }
  return <i32>((value >> 1) ^ (0 - (value & 1)))
}

export function varlong(): i64 {
  let byte: u64 = load<u8>(at++)
  let value: u64 = byte & 0x7f
  for (let shift: u64 = 7; byte >= 0x80 && shift < 70; shift += 7) {
    byte = load<u8>(at++)
    value |= (byte & 0x7f) << shift
  }
  return <i64>((value >> 1) ^ (0 - (value & 1)))
}
