import { KERNEL_BASE64 } from './kernelModule.ts'
import { MEMBER_NAMES } from './loginEvent.ts'

type Exports = {
  readonly memory: { readonly buffer: ArrayBuffer }
  setRules(maxEventBytes: number, requiredBits: number, keepsMembers: number): void
  take(from: number, bytes: number, count: number): number
  end(): number
  again(row: number): number
  learn(field: number, quoteAt: number): number
  countRun(
    first: number,
    rows: number,
    limit: number,
    startMs: number,
    sizeMs: number,
    baseTimestamp: number,
    appendTime: number,
    hasAppendTime: number,
    skewMs: number,
    clockMs: number,
    looksForTraces: number,
  ): number
  runClock(): number
  beginFold(): void
  fold(from: number, bytes: number): void
  areRecords(from: number, end: number, count: number, lastDelta: number): number
  endFold(): void
}

// What this program asks of WebAssembly, which the types of neither the language nor Node's declare.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/**
 * Where things stand in the kernel's memory, in bytes, and what they mean: kernel/layout.ts, whose names these are. A test
 * holds both against each other.
 */
export const LAYOUT = {
  NAMES: 0xd000,
  NAME_BYTES: 64,
  BEGINNINGS: 0xd900,
  BEGINNING_BYTES: 48,
  ROWS: 0x10000,
  ROW_BYTES: 128,
  MOST_ROWS: 512,
  MEMBERS: 0x20000,
  MEMBERS_BYTES: 240,
  INPUT: 0x40000,
  INPUT_BYTES: 0x10000,
  RUNS: 0x51000,
  RUN_BYTES: 0xa000,
  MOST_WINDOWS: 4,
  RUN_EVENTS: 0,
  RUN_LAST_ROW: 4,
  RUN_LOGINS: 8,
  COUNTED_SIZES: 12,
  CLOSES_AT: 24,
  CEILING: 32,
  MISSING_COUNTS: 0x100,
  RUN_ADDRESSES: 0x200,
  LOGIN_USERS: 0xa00,
  LOGIN_TIMES: 0x1a00,
  LOGIN_DEVICES: 0x2a00,
  COUNTED: 0x3a00,
  COUNTED_BYTES: 0x1010,
  SLOT_COUNTS: 0x6c00,
  SLOT_COUNTS_BYTES: 0x1010,
  FOLDED: 0x79000,
  FOLD_BYTES: 0xd10,
  BODIES: 0x90000,
  BODY_BYTES: 0x210000,
  BODY_COUNT: 8,
  TEXT_SLOT_BITS: 10,
  STATUS: 0,
  OFFSET_DELTA: 4,
  TIMESTAMP_DELTA: 8,
  KEY_START: 16,
  KEY_END: 20,
  VALUE_START: 24,
  VALUE_END: 28,
  HEADERS_AT: 32,
  HEADER_COUNT: 36,
  TIME_MS: 40,
  USER_HASH: 48,
  USER_START: 56,
  USER_END: 60,
  TEXT_SLOTS: 64,
  DEVICE_ID_START: 76,
  DEVICE_ID_END: 80,
  IP_START: 84,
  IP_END: 88,
  IPV4: 92,
  MISSING: 96,
  OTHER_MEMBERS: 100,
  SPACED: 104,
  MEMBER_COUNT: 108,
  TEXT_AT: 112,
  DEVICE_HASH: 116,
  READ: 1,
  UNKNOWN_TEXT: 2,
} as const

/**
 * The one instance of the kernel in this process: kernel/records.ts, compiled. Who calls it reads what it has found before
 * anyone calls it again.
 */
export const KERNEL = instantiate()
/** All of its memory, which does not grow. */
export const KERNEL_BYTES = new Uint8Array(KERNEL.memory.buffer)
/** Room in it for large responses. */
export const KERNEL_BODIES: readonly Buffer[] = Array.from({ length: LAYOUT.BODY_COUNT }, (_, i) =>
  Buffer.from(KERNEL.memory.buffer, LAYOUT.BODIES + i * LAYOUT.BODY_BYTES, LAYOUT.BODY_BYTES),
)

/** Whether bytes lie in the kernel's memory: then it reads them where they are, at their `byteOffset`. */
export function areInKernel(bytes: Uint8Array): boolean {
  return bytes.buffer === KERNEL_BYTES.buffer
}

function instantiate(): Exports {
  const module = new WebAssembly.Module(Uint8Array.from(atob(KERNEL_BASE64), each => each.charCodeAt(0)))
  const kernel = new WebAssembly.Instance(module, {}).exports as Exports
  writeNames(new DataView(kernel.memory.buffer))
  return kernel
}

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
