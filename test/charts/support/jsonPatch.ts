export type Patch = { readonly op?: string; readonly path: string; readonly value?: unknown }

type Container = Record<string, unknown>

/**
 * A document with the patches of RFC 6902 applied: `add`, `remove` and `replace`, which is what `op` means when left out.
 * @throws Error when a path does not lead to what is to be removed or replaced
 */
export function patched<T>(document: T, patches: readonly Patch[]): T {
  const result = structuredClone(document)
  for (const patch of patches) apply(result as Container, patch)
  return result
}

function apply(document: Container, { op = 'replace', path, value }: Patch): void {
  const keys = path
    .split('/')
    .slice(1)
    .map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = keys.pop() ?? ''
  let at: unknown = document
  for (const key of keys) at = (at as Container | undefined)?.[key]
  if (typeof at !== 'object' || at === null) throw new Error(`${op} ${path}: nothing leads there`)
  const container = at as Container
  if (op !== 'add' && !(last in container)) throw new Error(`${op} ${path}: there is nothing`)
  if (op === 'remove' && Array.isArray(container)) container.splice(Number(last), 1)
  else if (op === 'remove') delete container[last]
  else if (op === 'add' && Array.isArray(container))
    container.splice(last === '-' ? container.length : Number(last), 0, value)
  else if (op === 'add' || op === 'replace') container[last] = structuredClone(value)
  else throw new Error(`${op} ${path}: not known here`)
}
