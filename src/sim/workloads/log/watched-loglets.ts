// Between the virtual log of one simulated process and its loglets: keeps the answers of a service from a process that has died,
// and notes which offsets were acknowledged, to hold against the ends that the chain records.

import type { Chain } from '../../../log/chain/chain.ts'
import { ForwardingLoglet, ForwardingLogletProvider } from '../../../log/forwarding-loglet.ts'
import type { Loglet, LogletAppendOutcome, LogletProvider } from '../../../log/loglet.ts'
import type { LogletOffset } from '../../../log/position.ts'
import type { Life } from '../../life.ts'
import { check } from '../../workload.ts'

/** What all lives know of all loglets: nothing was acknowledged at or past a recorded end. */
export class SegmentEnds {
  private readonly lengths = new Map<string, number>()
  private readonly highest = new Map<string, number>()

  acknowledged(nonce: string, offset: LogletOffset): void {
    this.highest.set(nonce, Math.max(offset, this.highest.get(nonce) ?? 0))
    this.compare(nonce)
  }

  /** A chain that somebody saw. */
  see(chain: Chain): void {
    for (const { start, end, config } of chain.segments) {
      if (end === undefined || this.lengths.has(config.nonce)) continue
      this.lengths.set(config.nonce, end - start)
      this.compare(config.nonce)
    }
  }

  /** An operator ended it by force, with what was acknowledged past the end. */
  giveUp(nonce: string): void {
    this.highest.delete(nonce)
  }

  private compare(nonce: string): void {
    const offset = this.highest.get(nonce) ?? -1
    const length = this.lengths.get(nonce)
    check(
      length === undefined || offset < length,
      `an append was acknowledged at offset ${offset} of a loglet that ends at ${length}`,
    )
  }
}

/** The provider of one process. */
export class WatchedLogletProvider extends ForwardingLogletProvider {
  /** Loglets that are open here, by nonce. */
  readonly loglets: ReadonlyMap<string, Loglet>
  private readonly life: Life

  constructor(inner: LogletProvider, life: Life, ends: SegmentEnds) {
    const loglets = new Map<string, Loglet>()
    super(inner, (loglet, { nonce }) => {
      const acknowledged = (offset: LogletOffset): void => ends.acknowledged(nonce, offset)
      const closed = (): void => {
        if (loglets.get(nonce) === watched) loglets.delete(nonce)
      }
      const watched = new WatchedLoglet(loglet, life, acknowledged, closed)
      loglets.set(nonce, watched)
      return watched
    })
    this.loglets = loglets
    this.life = life
  }

  protected override around<T>(call: () => Promise<T>): Promise<T> {
    return whileAlive(this.life, call())
  }
}

class WatchedLoglet extends ForwardingLoglet {
  private readonly life: Life
  private readonly acknowledged: (offset: LogletOffset) => void
  private readonly closed: () => void

  constructor(inner: Loglet, life: Life, acknowledged: (offset: LogletOffset) => void, closed: () => void) {
    super(inner)
    this.life = life
    this.acknowledged = acknowledged
    this.closed = closed
  }

  override async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const outcome = await super.append(bytes)
    if (outcome.kind === 'appended') this.acknowledged(outcome.offset)
    return outcome
  }

  override onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    return this.inner.onTailMoved((tail) => {
      if (this.life.alive) listener(tail)
    })
  }

  override close(): Promise<void> {
    this.closed()
    return whileAlive(this.life, this.inner.close())
  }

  protected override around<T>(call: () => Promise<T>): Promise<T> {
    return whileAlive(this.life, call())
  }
}

/** The same answer, but none at all to a process that is dead by then. */
export function whileAlive<T>(life: Life, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    answer.then(
      (value) => {
        if (life.alive) resolve(value)
      },
      (error: unknown) => {
        if (life.alive) reject(error)
      },
    )
  })
}
