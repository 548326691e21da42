// Between the virtual log of one simulated process and its loglets: keeps the answers of a service from a process that has died,
// and notes which offsets were acknowledged, to hold against the ends that the chain records.

import type { Chain } from '../../../log/chain/chain.ts'
import type {
  Loglet,
  LogletAppendOutcome,
  LogletConfig,
  LogletMark,
  LogletProvider,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from '../../../log/loglet.ts'
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
export class WatchedLogletProvider implements LogletProvider {
  readonly kind: string
  /** Loglets that are open here, by nonce. */
  readonly loglets = new Map<string, Loglet>()
  private readonly inner: LogletProvider
  private readonly life: Life
  private readonly ends: SegmentEnds

  constructor(inner: LogletProvider, life: Life, ends: SegmentEnds) {
    this.kind = inner.kind
    this.inner = inner
    this.life = life
    this.ends = ends
  }

  create(config: LogletConfig): Promise<Loglet> {
    return this.watch(config, this.inner.create(config))
  }

  open(config: LogletConfig): Promise<Loglet> {
    return this.watch(config, this.inner.open(config))
  }

  destroy(config: LogletConfig): Promise<void> {
    return whileAlive(this.life, this.inner.destroy(config))
  }

  list(): Promise<readonly LogletConfig[]> {
    return whileAlive(this.life, this.inner.list())
  }

  private async watch({ nonce }: LogletConfig, opening: Promise<Loglet>): Promise<Loglet> {
    const inner = await whileAlive(this.life, opening)
    const closed = (): void => {
      if (this.loglets.get(nonce) === loglet) this.loglets.delete(nonce)
    }
    const loglet = new WatchedLoglet(inner, this.life, (offset) => this.ends.acknowledged(nonce, offset), closed)
    this.loglets.set(nonce, loglet)
    return loglet
  }
}

class WatchedLoglet implements Loglet {
  private readonly inner: Loglet
  private readonly life: Life
  private readonly acknowledged: (offset: LogletOffset) => void
  private readonly closed: () => void

  constructor(inner: Loglet, life: Life, acknowledged: (offset: LogletOffset) => void, closed: () => void) {
    this.inner = inner
    this.life = life
    this.acknowledged = acknowledged
    this.closed = closed
  }

  get maxEntryBytes(): number {
    return this.inner.maxEntryBytes
  }

  get trimPoint(): LogletOffset {
    return this.inner.trimPoint
  }

  async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const outcome = await whileAlive(this.life, this.inner.append(bytes))
    if (outcome.kind === 'appended') this.acknowledged(outcome.offset)
    return outcome
  }

  checkTail(): Promise<LogletTail> {
    return whileAlive(this.life, this.inner.checkTail())
  }

  readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead> {
    return whileAlive(this.life, this.inner.readNext(from, to, maxBytes))
  }

  prefixTrim(to: LogletOffset): Promise<void> {
    return whileAlive(this.life, this.inner.prefixTrim(to))
  }

  seal(successor: LogletRecipe): Promise<LogletTail> {
    return whileAlive(this.life, this.inner.seal(successor))
  }

  onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    return this.inner.onTailMoved((tail) => {
      if (this.life.alive) listener(tail)
    })
  }

  marks(): readonly LogletMark[] {
    return this.inner.marks()
  }

  close(): Promise<void> {
    this.closed()
    return whileAlive(this.life, this.inner.close())
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
