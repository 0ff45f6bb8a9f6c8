/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/**
 * The steps that make `to` of `from`. Lists are replaced as a whole, unless they are as long as before: then their items are
 * compared one by one, so that a changed container does not repeat all that stays.
 */
export function difference(from: unknown, to: unknown, path = ''): PatchStep[] {
  if (isMap(from) && isMap(to)) return differenceOfMaps(from, to, path)
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length && to.every(isMap)) {
    return to.flatMap((item, index) => difference(from[index], item, `${path}/${index}`))
  }
  return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ op: 'replace', path, value: to }]
}

function differenceOfMaps(from: Record<string, unknown>, to: Record<string, unknown>, path: string): PatchStep[] {
  const gone = Object.keys(from).filter(key => !Object.hasOwn(to, key))
  return [
    ...gone.map<PatchStep>(key => ({ op: 'remove', path: `${path}/${pointer(key)}` })),
    ...Object.entries(to).flatMap<PatchStep>(([key, value]) => {
      const inner = `${path}/${pointer(key)}`
      return Object.hasOwn(from, key) ? difference(from[key], value, inner) : [{ op: 'add', path: inner, value }]
    }),
  ]
}

function pointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
