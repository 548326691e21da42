// One end of a simulated stream. Bytes arrive late, in order, and in chunks that ignore the boundaries of writes.

import type { Connection, ConnectionEvents } from '../../runtime/network.ts'
import type { NetworkFaults } from '../faults.ts'
import type { Life } from '../life.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { EventQueue } from '../time/event-queue.ts'

/** What both ends of a stream share. */
export interface StreamParts {
  readonly queue: EventQueue
  readonly random: SeededRandom
  readonly faults: () => NetworkFaults
  /** True while nothing passes between the two machines. */
  readonly cut: () => boolean
  readonly note: (what: string, detail: string | number) => void
}

/** Where a stream comes from or goes to. */
export interface Address {
  readonly address: string
  readonly port: number
}

/** One end. Its owner is told nothing more once it is closed, or silenced because its process died. */
export class SimEndpoint implements Connection {
  readonly remoteAddress: string
  readonly remotePort: number
  private readonly parts: StreamParts
  private readonly life: Life
  private peer: SimEndpoint | undefined
  private events: ConnectionEvents | undefined
  /** Bytes that this end wrote and the peer has not been given. */
  private readonly unsent: Uint8Array[] = []
  private unsentBytes = 0
  private moving = false
  private paused = false
  private ending = false
  private ended = false
  private closed = false
  private wantsDrain = false

  /** `life`: of the process that owns this end. */
  constructor(parts: StreamParts, remote: Address, life: Life) {
    this.parts = parts
    this.life = life
    this.remoteAddress = remote.address
    this.remotePort = remote.port
  }

  get bufferedBytes(): number {
    return this.unsentBytes
  }

  /** True once `closed` was, or will not be, told. */
  get isClosed(): boolean {
    return this.closed
  }

  /** @internal Joins the two ends and starts the flow. */
  attach(peer: SimEndpoint, events: ConnectionEvents): void {
    this.peer = peer
    this.events = events
    peer.move()
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed || this.ending) return false
    if (bytes.length > 0) {
      this.unsent.push(bytes)
      this.unsentBytes += bytes.length
      this.move()
    }
    const full = this.unsentBytes > this.parts.faults().highWaterBytes
    if (full) this.wantsDrain = true
    return !full
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.peer?.move()
  }

  end(): void {
    if (this.ending || this.closed) return
    this.ending = true
    this.move()
  }

  destroy(): void {
    this.reset(undefined)
  }

  /** Breaks the stream; both ends learn it, the other one later. */
  reset(error: Error | undefined): void {
    if (this.closed) return
    this.later(() => this.close(error))
    this.silence()
    this.later(() => this.peer?.close(new Error('connection reset by peer')))
  }

  /** This end is gone without a word, as when its machine loses power: the other end is never told. */
  vanish(): void {
    this.closed = true
    this.silence()
    this.events = undefined
  }

  /** The owner's process died: it hears nothing more, and the other end learns it after a while. */
  abandon(): void {
    if (this.closed) return
    this.closed = true
    this.events = undefined
    this.later(() => this.peer?.close(new Error('connection reset by peer')))
  }

  /** @internal The owner goes on after it stood still. */
  goOn(): void {
    this.peer?.move()
  }

  /** What is sent to this end waits. */
  private get isDeaf(): boolean {
    return this.paused || this.life.standsStill
  }

  /** @internal Moves what was written towards the peer, unless that is under way or can't be. */
  move(): void {
    if (this.moving || this.peer === undefined || this.peer.events === undefined) return
    if (this.unsentBytes === 0 && !(this.ending && !this.ended)) return
    if (this.peer.isDeaf && this.unsentBytes > 0) return
    if (this.parts.cut()) return
    this.moving = true
    this.later(() => {
      this.moving = false
      this.arrive()
      this.move()
    })
  }

  private arrive(): void {
    const { peer } = this
    if (peer === undefined || peer.closed || this.parts.cut()) return
    if (this.unsentBytes === 0) {
      if (this.ending && !this.ended) this.finish(peer)
      return
    }
    if (peer.isDeaf) return
    const { random } = this.parts
    const { chunkBytesMax, resetProbability } = this.parts.faults()
    if (random.chance(resetProbability)) {
      this.parts.note('reset', this.remotePort)
      this.reset(new Error('connection reset'))
      return
    }
    const chunk = this.take(random.integer(1, Math.min(this.unsentBytes, chunkBytesMax)))
    this.parts.note('arrive', chunk.length)
    peer.events?.data(chunk)
    if (this.unsentBytes === 0 && this.wantsDrain) {
      this.wantsDrain = false
      this.life.pass(() => this.events?.drain())
    }
  }

  // What the peer still has to say is sent before it ends as well, as when Node's half-open connections are off.
  private finish(peer: SimEndpoint): void {
    this.ended = true
    peer.end()
    if (peer.ended) {
      peer.close(undefined)
      this.close(undefined)
    }
  }

  private take(count: number): Buffer {
    const chunk = Buffer.allocUnsafe(count)
    let filled = 0
    while (filled < count) {
      const first = this.unsent[0] as Uint8Array
      const part = first.subarray(0, count - filled)
      chunk.set(part, filled)
      filled += part.length
      if (part.length === first.length) this.unsent.shift()
      else this.unsent[0] = first.subarray(part.length)
    }
    this.unsentBytes -= count
    return chunk
  }

  private silence(): void {
    this.ending = true
    this.unsent.length = 0
    this.unsentBytes = 0
  }

  private close(error: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.silence()
    const { events } = this
    this.events = undefined
    if (events !== undefined) this.life.pass(() => events.closed(error))
  }

  private later(action: () => void): void {
    const { queue, random, faults } = this.parts
    const { latencyMsMin, latencyMsMax } = faults()
    queue.schedule(random.latency(latencyMsMin, latencyMsMax), action)
  }
}
