import { bodiesIn, createKernelMemory, instantiateKernel } from './kernelInstance.ts'
import { LAYOUT } from './kernelLayout.ts'
import { MEMBER_NAMES } from './loginEvent.ts'

export const KERNEL_MEMORY = createKernelMemory()
/** The one instance of the kernel that counts in this process. */
export const KERNEL = instantiateKernel(KERNEL_MEMORY)
/** All of its memory. */
export const KERNEL_BYTES = new Uint8Array(KERNEL_MEMORY.buffer)

/** Room in it for large responses. */
export const KERNEL_BODIES = bodiesIn(KERNEL_MEMORY)

/** Whether bytes lie in the kernel's memory: then it reads them where they are, at their `byteOffset`. */
export function areInKernel(bytes: Uint8Array): boolean {
  return bytes.buffer === KERNEL_MEMORY.buffer
}

writeNames(new DataView(KERNEL_MEMORY.buffer))

/** Each name as it is written: its length, then its bytes by eight, each eight behind a mask of those that count. */
function writeNames(view: DataView): void {
  for (const [number, name] of MEMBER_NAMES.entries()) {
    const written = new TextEncoder().encode(`"${name}":`)
    const at = LAYOUT.NAMES + number * LAYOUT.NAME_BYTES
    view.setUint32(at, written.length, true)
    for (const [i, byte] of written.entries()) {
      const isLow = i < 16
      view.setUint8(at + (isLow ? 8 : 24) + i, 0xff)
      view.setUint8(at + (isLow ? 24 : 32) + i, byte)
    }
  }
  // No beginning is met yet: one for each name before, and two for the first ones.
  for (let before = 0; before < MEMBER_NAMES.length + 2; before++) {
    for (let i = 16; i < 32; i++) view.setUint8(LAYOUT.BEGINNINGS + before * LAYOUT.BEGINNING_BYTES + i, 0xff)
  }
}
