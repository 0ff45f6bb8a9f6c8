import { KERNEL_PAGES, LAYOUT } from './kernelLayout.ts'
import { KERNEL_BASE64 } from './kernelModule.ts'

/** What kernel/records.ts exports. Who calls it reads what it has found before anyone of the same thread calls it again. */
export type Kernel = {
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
  beginFold(folded: number): void
  fold(folded: number, from: number, bytes: number): void
  areRecords(from: number, end: number, count: number, lastDelta: number): number
  endFold(folded: number, last: number): void
  unpackBlock(from: number, end: number, to: number, history: number, most: number): number
}

/** Does not grow; another thread may be handed it. */
export type KernelMemory = { readonly buffer: SharedArrayBuffer }

// What this program asks of WebAssembly, which the types of neither the language nor Node's declare.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => KernelMemory
}

export function createKernelMemory(): KernelMemory {
  return new WebAssembly.Memory({ initial: KERNEL_PAGES, maximum: KERNEL_PAGES, shared: true })
}

/** The kernel, compiled. Two on one memory must not use the same parts of it: what they both write at the start is constant. */
export function instantiateKernel(memory: KernelMemory): Kernel {
  const module = new WebAssembly.Module(Uint8Array.from(atob(KERNEL_BASE64), each => each.charCodeAt(0)))
  return new WebAssembly.Instance(module, { env: { memory } }).exports as Kernel
}

/** Room for large responses. */
export function bodiesIn({ buffer }: KernelMemory): readonly Buffer[] {
  const { BODIES, BODY_BYTES, BODY_COUNT } = LAYOUT
  return Array.from({ length: BODY_COUNT }, (_, i) => Buffer.from(buffer, BODIES + i * BODY_BYTES, BODY_BYTES))
}
