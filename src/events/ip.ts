/** An IP address as enrichment needs it. */
export type IpAddress = {
  /** What to look up: dotted decimal for IPv4, also when it came inside of IPv6 (`::ffff:`), else the text as it came. */
  readonly text: string
  /** Without the part that tells a person's line: `199.172.111.0`, `2001:db8:1::`. */
  readonly masked: string
}

/** What stands for no IPv4 address. */
export const NO_IPV4 = -1

const SIX_TO_FOUR = 0x2002

/** Whether the text is an IPv4 or IPv6 address: strict dotted decimal, or RFC 4291's text form without a zone. */
export function isIp(text: string): boolean {
  return isIpv4(text) || groupsOf(text) !== null
}

/** Reads an address; null when the text is none. */
export function readIp(text: string): IpAddress | null {
  if (isIpv4(text)) return ipv4(text)
  const groups = groupsOf(text)
  if (groups === null) return null
  const [a, b, c, d, e, f, high, low] = groups as Groups
  if ((a | b | c | d | e) === 0 && f === 0xffff) {
    return ipv4(`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`)
  }
  // A 6to4 prefix is a whole IPv4 address: it keeps no more of it than an IPv4 address does.
  return { text, masked: prefixText([a, b, a === SIX_TO_FOUR ? c & 0xff00 : c]) }
}

/** An IPv4 address in dotted decimal as an unsigned 32-bit number; NO_IPV4 for any other text. */
export function readIpv4(text: string): number {
  if (!isIpv4(text)) return NO_IPV4
  const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number]
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

/** An IPv4 address of 32 bits, with a sign or without, in dotted decimal. */
export function textOfIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

function ipv4(text: string): IpAddress {
  return { text, masked: `${text.slice(0, text.lastIndexOf('.'))}.0` }
}

/** The /48 network in RFC 5952's form. */
function prefixText(prefix: number[]): string {
  while (prefix.at(-1) === 0) prefix.pop()
  return `${prefix.map(group => group.toString(16)).join(':')}::`
}

/** Four numbers from 0 to 255 without leading zeros, which some would read as octal. */
function isIpv4(text: string): boolean {
  let parts = 1
  let digits = 0
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && value === 0) return false
      value = value * 10 + digit
      digits++
      if (value > 255) return false
    } else if (digit === -2 && digits > 0) {
      parts++
      digits = 0
      value = 0
    } else return false
  }
  return parts === 4 && digits > 0
}

type Groups = [number, number, number, number, number, number, number, number]

/** The eight groups of an IPv6 address; null when the text is none. */
function groupsOf(text: string): number[] | null {
  const gap = text.indexOf('::')
  const head = readGroups(gap < 0 ? text : text.slice(0, gap), gap < 0)
  if (head === null || gap < 0) return head?.length === 8 ? head : null
  const tail = readGroups(text.slice(gap + 2), true)
  // The gap stands for one group at least.
  if (tail === null || head.length + tail.length > 7) return null
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function readGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  const groups: number[] = []
  if (text === '') return groups
  const parts = text.split(':')
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else if (mayEndInIpv4 && i === parts.length - 1 && isIpv4(part)) {
      const [a, b, c, d] = part.split('.').map(Number) as [number, number, number, number]
      groups.push((a << 8) | b, (c << 8) | d)
    } else return null
  }
  return groups
}
