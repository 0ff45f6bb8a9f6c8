// Numbers of records, which have ends: whoever put the records there has made sure of that. Nearly all are one byte or two,
// and those are told apart by branches, which are guessed well: what stands behind a number need not wait for it then.

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

/** What numbers of 32 and of 64 bits take at most. */
export const MOST_VARINT_BYTES: usize = 5
export const MOST_VARLONG_BYTES: usize = 10

/** Where the number ends that begins there; one that is longer than any can be, somewhere behind that. */
export function endOf(number: usize): usize {
  if (load<u8>(number) < 0x80) return number + 1
  if (load<u8>(number, 1) < 0x80) return number + 2
  let end = number + 2
  while (load<u8>(end) >= 0x80 && end < number + MOST_VARLONG_BYTES) end++
  return end + 1
}

/** The number that ends there, if it is one that `varint` reads. */
export function varintOf(number: usize, end: usize): i32 {
  let value: u32
  if (end - number === 1) value = load<u8>(number)
  else if (end - number === 2) value = (<u32>load<u8>(number) & 0x7f) | ((<u32>load<u8>(number, 1)) << 7)
  else {
    seek(number)
    return varint()
  }
  return <i32>((value >> 1) ^ (0 - (value & 1)))
}

/** The number that ends there. */
export function varlongOf(number: usize, end: usize): i64 {
  if (end - number <= 2) return <i64>varintOf(number, end)
  seek(number)
  return varlong()
}

function varlong(): i64 {
  let byte: u64 = load<u8>(at++)
  let value: u64 = byte & 0x7f
  for (let shift: u64 = 7; byte >= 0x80 && shift < 70; shift += 7) {
    byte = load<u8>(at++)
    value |= (byte & 0x7f) << shift
  }
  return <i64>((value >> 1) ^ (0 - (value & 1)))
}
