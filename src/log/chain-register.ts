// The chain as this server knows it, and its one home in the metastore: reading it, and replacing it by compare-and-set also
// when the answer is lost. What edits mean is chain/ and reconfiguration.ts.

import { DelosError } from '../base/delos-error.ts'
import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import { type Chain, EDITS_KEPT } from './chain/chain.ts'
import { decodeChain, encodeChain } from './chain/chain-codec.ts'
import { sleep, withDeadline } from './deadline.ts'
import type { MetaStore } from './metastore.ts'

export interface ChainRegisterOptions {
  readonly metastore: MetaStore
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** How long one call may take, retries of a compare-and-set with a lost answer included. */
  readonly limitMs: number
  /** A lost answer was met. */
  readonly onIndeterminate: () => void
}

/** Versions only grow: an older chain than the known one is never adopted. */
export class ChainRegister {
  private readonly options: ChainRegisterOptions
  private known: Chain | undefined
  private reading: Promise<Chain | undefined> | undefined
  private following: Promise<Chain | undefined> | undefined
  private onChange: (chain: Chain) => void = () => undefined

  constructor(options: ChainRegisterOptions) {
    this.options = options
  }

  /** The newest chain known here. */
  get chain(): Chain {
    if (!this.known) throw new DelosError('NOT_FOUND', 'there is no chain yet')
    return this.known
  }

  /** Calls `listener` synchronously with every newer chain. */
  setListener(listener: (chain: Chain) => void): void {
    this.onChange = listener
  }

  /** Reads the register; the read begins after the call. Undefined while no chain was ever written. */
  refresh(): Promise<Chain | undefined> {
    if (!this.reading) return this.startRead()
    // The read under way may be too old for this caller: share the one after it.
    this.following ??= this.reading
      .catch(() => undefined)
      .then(() => {
        this.following = undefined
        return this.startRead()
      })
    return this.following
  }

  /**
   * Replaces `base` by `next`, its direct successor. `lost`: somebody else replaced it first, and their chain is known here
   * now. Rejects with INDETERMINATE when it can't be told within the limit: `next` may be the chain, now or later.
   */
  async compareAndSet(base: Chain | undefined, next: Chain): Promise<'won' | 'lost'> {
    const { clock, timers, random, limitMs } = this.options
    const endMs = clock.monotonicMs() + limitMs
    const bytes = encodeChain(next)
    const edit = next.edits[next.edits.length - 1] as string
    let uncertain = false
    for (;;) {
      const outcome = await this.tryWrite(bytes, base?.version ?? 0).catch((error: unknown) => {
        throw uncertain ? lostOutcome(error) : error
      })
      if (outcome === 'written') {
        this.adopt(next)
        return 'won'
      }
      if (outcome === 'unknown') {
        uncertain = true
        this.options.onIndeterminate()
      }
      const current = await this.refresh().catch((error: unknown) => {
        if (isTemporary(error)) return undefined
        throw uncertain ? lostOutcome(error) : error
      })
      if (current?.edits.includes(edit)) return 'won'
      if (current && current.version >= next.version) {
        const telling = !uncertain || current.version - next.version < EDITS_KEPT
        if (telling) return 'lost'
      }
      if (clock.monotonicMs() >= endMs) throw lostOutcome()
      await sleep(timers, 5 + (random.uint32() % 20))
    }
  }

  private async tryWrite(bytes: Uint8Array, expected: number): Promise<'written' | 'conflict' | 'unknown'> {
    const { metastore, timers, limitMs } = this.options
    const write = metastore.write(bytes, expected).then(({ kind }) => kind)
    try {
      return await withDeadline<'written' | 'conflict' | 'unknown'>(timers, write, limitMs, () => 'unknown')
    } catch (error) {
      if (error instanceof DelosError && error.code === 'INDETERMINATE') return 'unknown'
      throw error
    }
  }

  private startRead(): Promise<Chain | undefined> {
    const { metastore, timers, limitMs } = this.options
    const late = () => {
      throw new DelosError('TIMEOUT', `the metastore did not answer within ${limitMs} ms`)
    }
    this.reading = withDeadline(timers, metastore.read(), limitMs, late)
      .then(({ value, version }) => {
        if (!value) return undefined
        const chain = decodeChain(value)
        if (chain.version !== version) {
          throw new DelosError('CORRUPT', `the chain says version ${chain.version}, its register ${version}`)
        }
        this.adopt(chain)
        return this.known
      })
      .finally(() => {
        this.reading = undefined
      })
    return this.reading
  }

  private adopt(chain: Chain): void {
    if (this.known && chain.version <= this.known.version) return
    this.known = chain
    this.onChange(chain)
  }
}

function lostOutcome(cause?: unknown): DelosError {
  return new DelosError(
    'INDETERMINATE',
    'the outcome of a chain write is unknown',
    cause === undefined ? {} : { cause },
  )
}

function isTemporary(error: unknown): boolean {
  return error instanceof DelosError && (error.code === 'TIMEOUT' || error.code === 'INDETERMINATE')
}
