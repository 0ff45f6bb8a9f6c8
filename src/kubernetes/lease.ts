/** What a Lease says, of what is looked at. */
export type LeaseRecord = {
  /** Null when it was released. */
  readonly holder: string | null
  /** How long it holds after its last renewal, as its holder has said. */
  readonly durationMs: number
  /** Changes with every write. */
  readonly version: string
}

export type LeaseTimes = {
  /** How long others wait for a holder that no longer renews. */
  readonly durationMs: number
  /** A holder whose renewals have failed for so long no longer acts as one; well below `durationMs`. */
  readonly renewWithinMs: number
}

/** What to do about the Lease: make it, write ourselves into it, or leave it to its holder. */
export type LeaseStep = 'create' | 'take' | 'renew' | 'wait'

/**
 * One candidate for a Lease, as a pure state machine. Times are milliseconds of a clock of this process that never goes
 * back: clocks of different machines are never compared. Another's Lease has run out when it has not changed *while we
 * watched* for the whole of its duration; that of our own begins before the request is sent that renews it. So a leader
 * stops before anybody else begins, as long as both clocks run equally fast.
 */
export class LeaseCandidate {
  readonly #name: string
  readonly #times: LeaseTimes
  #seen: { readonly version: string; readonly atMs: number } | null = null
  #leadsUntilMs = Number.NEGATIVE_INFINITY

  constructor(name: string, times: LeaseTimes) {
    this.#name = name
    this.#times = times
  }

  /** @param lease as it has just been read, null when there is none */
  look(lease: LeaseRecord | null, nowMs: number): LeaseStep {
    if (lease === null) return 'create'
    // A process of our name that has gone (the container was restarted) needs no waiting for.
    if (lease.holder === this.#name) return 'renew'
    this.#leadsUntilMs = Number.NEGATIVE_INFINITY
    if (lease.holder === null) return 'take'
    if (this.#seen?.version !== lease.version) {
      this.#seen = { version: lease.version, atMs: nowMs }
      return 'wait'
    }
    return nowMs - this.#seen.atMs > lease.durationMs ? 'take' : 'wait'
  }

  /** Our name is in it. @param sentAtMs when the request was sent that put it there */
  held(sentAtMs: number): void {
    this.#leadsUntilMs = sentAtMs + this.#times.renewWithinMs
  }

  /** It was released, or found to be another's. */
  lost(): void {
    this.#leadsUntilMs = Number.NEGATIVE_INFINITY
  }

  leads(nowMs: number): boolean {
    return nowMs < this.#leadsUntilMs
  }
}
