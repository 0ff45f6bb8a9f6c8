import { KERNEL, KERNEL_BODIES, KERNEL_MEMORY } from '../../events/kernel.ts'
import { LAYOUT } from '../../events/kernelLayout.ts'
import { BodyPool } from './bodyPool.ts'
import { Checksums } from './checksum.ts'
import { createPlaceStates, Places } from './places.ts'

/** What threads share of the places in the kernel's memory. */
export const PLACE_STATES = createPlaceStates(KERNEL_BODIES.length)
export const places = new Places(KERNEL_BODIES, PLACE_STATES)
/** Of all connections of this process. Records at a place are counted where they are. */
export const bodies: BodyPool = new BodyPool(places)
/** Of the thread that counts. */
export const checksums: Checksums = new Checksums(KERNEL, KERNEL_MEMORY, LAYOUT.FOLDED, LAYOUT.INPUT)
