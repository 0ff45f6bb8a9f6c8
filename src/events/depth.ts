/**
 * Whether more than `max` brackets are ever open at once, reading from the left and leaving out what stands in strings.
 * It asks nothing else of the text, so that text which is no JSON may nest too deep as well.
 */
export function nestsDeeper(text: string, max: number): boolean {
  // An event rarely has more than a handful of brackets, and searching for them is far faster than reading every unit.
  return hasMoreBrackets(text, max) && deepest(text, max) > max
}

function hasMoreBrackets(text: string, max: number): boolean {
  // The first unit, the bracket of nearly every event, counts as one unseen: that spares a search.
  let brackets = 1
  for (let at = text.indexOf('{', 1); at > 0; at = text.indexOf('{', at + 1)) if (++brackets > max) return true
  for (let at = text.indexOf('[', 1); at > 0; at = text.indexOf('[', at + 1)) if (++brackets > max) return true
  return false
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** The greatest number of brackets open at once; reading ends once it passes `max`. */
function deepest(text: string, max: number): number {
  let open = 0
  let most = 0
  let inString = false
  for (let i = 0; i < text.length && most <= max; i++) {
    const unit = text.charCodeAt(i)
    if (inString) {
      if (unit === BACKSLASH) i++
      else if (unit === QUOTE) inString = false
    } else if (unit === QUOTE) inString = true
    else if (unit === 0x7b || unit === 0x5b) {
      if (++open > most) most = open
    } else if (unit === 0x7d || unit === 0x5d) open--
  }
  return most
}
