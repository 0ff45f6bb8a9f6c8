import { totalmem } from 'node:os'

/** Bytes that this process may use: the container's limit where there is one, else the machine's memory. */
export function memoryLimit(): number {
  const limit = process.constrainedMemory()
  const machine = totalmem()
  return limit > 0 && limit < machine ? limit : machine
}
