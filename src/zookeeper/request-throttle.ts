// Limits what all connections together have under way: requests past a number wait for their turn, large ones past a sum of
// bytes are refused. Only there if one of the two is on. At most one request of a connection waits, since it is not read from
// meanwhile: so what waits is bounded by the connections.

import type { RequestThrottleOptions } from './access-options.ts'

/** A connection whose next request waits. */
export interface WaitingClient {
  /** Its turn has come. */
  proceed(): void
}

/** What one connection has under way. */
export interface Share {
  requests: number
  largeBytes: number
}

export class RequestThrottle {
  readonly options: RequestThrottleOptions
  /** Of all connections. */
  requests = 0
  largeBytes = 0
  private readonly soon: (action: () => void) => void
  /** First come, first served. */
  private readonly waiting = new Set<WaitingClient>()
  private awake = false

  constructor(options: RequestThrottleOptions, soon: (action: () => void) => void) {
    this.options = options
    this.soon = soon
  }

  get waitingCount(): number {
    return this.waiting.size
  }

  /** True if another request must wait. */
  get isFull(): boolean {
    const { requestsMax } = this.options
    return requestsMax > 0 && (this.requests >= requestsMax || this.waiting.size > 0)
  }

  /** False: with a request of so many bytes there would be too many of large ones. */
  hasRoomFor(bytes: number): boolean {
    const { largeRequestBytes, largeRequestsBytesMax } = this.options
    return largeRequestBytes === -1 || bytes <= largeRequestBytes || this.largeBytes + bytes <= largeRequestsBytesMax
  }

  /** What a connection has under way now; `share` is what was said before, and is kept. */
  account(share: Share, requests: number, largeBytes: number): void {
    this.requests += requests - share.requests
    this.largeBytes += largeBytes - share.largeBytes
    share.requests = requests
    share.largeBytes = largeBytes
    this.wake()
  }

  wait(client: WaitingClient): void {
    this.waiting.add(client)
    this.wake()
  }

  /** False if it did not wait. */
  leave(client: WaitingClient): boolean {
    return this.waiting.delete(client)
  }

  private wake(): void {
    if (this.awake || this.waiting.size === 0 || this.requests >= this.options.requestsMax) return
    this.awake = true
    this.soon(this.serve)
  }

  private readonly serve = (): void => {
    this.awake = false
    for (const client of this.waiting) {
      if (this.requests >= this.options.requestsMax) return
      this.waiting.delete(client)
      client.proceed()
    }
  }
}
