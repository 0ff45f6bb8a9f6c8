import type { KernelMemory } from '../events/kernelInstance.ts'
import type { Address } from './openSocket.ts'

/** What the thread that has the sockets is given at its start. */
export type ThreadStart = {
  readonly memory: KernelMemory
  /** Of the places for responses, as `createPlaceStates` makes them. */
  readonly states: SharedArrayBuffer
}

/** What it is asked for; `id` is a socket's, and what is written a whole request. */
export type SocketRequest =
  | { readonly what: 'open'; readonly id: number; readonly address: Address }
  | { readonly what: 'write'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly what: 'end' | 'destroy'; readonly id: number }

/** What becomes of a socket. A response is told of without its length. */
export type SocketNews =
  | { readonly what: 'connect' | 'end' | 'close'; readonly id: number }
  | { readonly what: 'placed'; readonly id: number; readonly place: number; readonly size: number }
  | { readonly what: 'response'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly what: 'error'; readonly id: number; readonly message: string; readonly code: string | undefined }
