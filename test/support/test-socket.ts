// A connection whose system and peer are the test: what is taken, what arrives, who goes, step by step.

import type { Connection, ConnectionEvents } from '../../src/runtime/network.ts'

/** What a system buffers before `write` answers false. */
const HIGH_WATER_BYTES = 256 * 1024

/** The server's end of a connection; the test is the system and the peer. */
export class TestSocket implements Connection {
  readonly remoteAddress: string
  readonly remotePort: number
  /** What the system took. */
  readonly received: Buffer[] = []
  /** False: the peer reads nothing, so that the system takes nothing. */
  taking = true
  paused = false
  /** The server has said that it writes no more. */
  ended = false
  destroyed = false
  private events: ConnectionEvents | undefined
  private unsent: Uint8Array[] = []
  private wantsDrain = false
  private arrivedWhilePaused: Buffer[] = []

  readonly peerCertificate: Uint8Array | undefined

  constructor(address: string, port: number, certificate?: Uint8Array) {
    this.remoteAddress = address
    this.remotePort = port
    this.peerCertificate = certificate
  }

  attach(events: ConnectionEvents): void {
    this.events = events
    if (this.destroyed) this.close()
  }

  get bufferedBytes(): number {
    return this.unsent.reduce((sum, bytes) => sum + bytes.length, 0)
  }

  get isClosed(): boolean {
    return this.ended || this.destroyed
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed) return false
    if (this.taking && this.unsent.length === 0) {
      this.received.push(Buffer.from(bytes))
      return true
    }
    this.unsent.push(bytes)
    const full = this.bufferedBytes > HIGH_WATER_BYTES
    if (full) this.wantsDrain = true
    return !full
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    for (const chunk of this.arrivedWhilePaused.splice(0)) this.send(chunk)
  }

  end(): void {
    this.ended = true
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.close()
  }

  // ── the peer's side ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes arrive at the server, or wait in the system while it does not read. */
  send(bytes: Uint8Array): void {
    if (this.paused) this.arrivedWhilePaused.push(Buffer.from(bytes))
    else this.events?.data(Buffer.from(bytes))
  }

  /** The peer reads what there is; whether the system takes more stays as it is. */
  takeUnsent(): void {
    for (const bytes of this.unsent.splice(0)) this.received.push(Buffer.from(bytes))
    if (!this.wantsDrain) return
    this.wantsDrain = false
    this.events?.drain()
  }

  /** The peer goes away. */
  close(): void {
    this.events?.closed(undefined)
    this.events = undefined
  }

  text(): string {
    return Buffer.concat(this.received).toString('utf8')
  }
}
