/** So many of the items (all when there are fewer), each choice as likely as any other; the same seed chooses the same. */
export function chooseSome<T>(items: readonly T[], count: number, seed: number): T[] {
  const left = [...items]
  const next = numbersFrom(seed)
  const chosen: T[] = []
  while (chosen.length < count && left.length > 0) {
    const at = Math.floor(next() * left.length)
    chosen.push(left[at] as T)
    left[at] = left.at(-1) as T
    left.pop()
  }
  return chosen
}

/** splitmix32: numbers in [0, 1). */
function numbersFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}
