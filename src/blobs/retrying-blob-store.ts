// Tries calls of another blob store again while the reason is worth it, with growing, jittered pauses, until a deadline. A damaged
// answer may have been damaged on the way, so it is asked for a few times before it is believed.

import { DelosError } from '../base/delos-error.ts'
import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import type { BlobBytes, BlobPage, BlobStore, CallOptions, ListOptions } from './blob-store.ts'

export interface RetryOptions {
  /** Over all attempts of one call. The last one's own deadline comes on top. */
  readonly deadlineMs: number
  /** The first pause; each following one is twice as long, up to `pauseMaxMs`; all are shortened by up to half, at random. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  /** Attempts of a get whose answers are damaged. */
  readonly damagedMax: number
}

export const RETRY_OPTIONS: RetryOptions = { deadlineMs: 60_000, pauseMs: 100, pauseMaxMs: 5_000, damagedMax: 4 }

export interface RetryRuntime {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

export class RetryingBlobStore implements BlobStore {
  /** Attempts that failed and were followed by another. */
  retries = 0
  private readonly store: BlobStore
  private readonly runtime: RetryRuntime
  private readonly options: RetryOptions

  constructor(store: BlobStore, runtime: RetryRuntime, options: Partial<RetryOptions> = {}) {
    this.store = store
    this.runtime = runtime
    this.options = { ...RETRY_OPTIONS, ...options }
  }

  get location(): string {
    return this.store.location
  }

  put(name: string, bytes: BlobBytes, options: CallOptions = {}): Promise<void> {
    return this.again(options.signal, () => this.store.put(name, bytes, options))
  }

  get(name: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.again(options.signal, () => this.store.get(name, options))
  }

  list(prefix: string, options: ListOptions & CallOptions = {}): Promise<BlobPage> {
    return this.again(options.signal, () => this.store.list(prefix, options))
  }

  delete(name: string, options: CallOptions = {}): Promise<void> {
    return this.again(options.signal, () => this.store.delete(name, options))
  }

  close(): Promise<void> {
    return this.store.close()
  }

  private async again<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const { clock } = this.runtime
    const { damagedMax, deadlineMs, pauseMaxMs, pauseMs } = this.options
    const endMs = clock.monotonicMs() + deadlineMs
    let damaged = 0
    for (let attempt = 0; ; attempt++) {
      try {
        // Also where the store itself does not look at the signal: a directory that hangs.
        return await untilAborted(signal, call())
      } catch (thrown) {
        if (!(thrown instanceof DelosError)) throw thrown
        if (thrown.code === 'CORRUPT') damaged++
        const worth = thrown.retryable ? attempt < 1000 : thrown.code === 'CORRUPT' && damaged < damagedMax
        if (!worth || clock.monotonicMs() >= endMs) throw thrown
        this.retries++
        const longest = Math.min(pauseMaxMs, pauseMs * 2 ** Math.min(attempt, 20), endMs - clock.monotonicMs())
        await this.pause(longest * (0.5 + this.runtime.random.uint32() / 2 ** 33), signal)
      }
    }
  }

  private pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        timer.cancel()
        reject(new DelosError('CLOSED', 'the call was ended'))
      }
      const timer = this.runtime.timers.after(ms, () => {
        signal?.removeEventListener('abort', ended)
        resolve()
      })
      signal?.addEventListener('abort', ended, { once: true })
      if (signal?.aborted === true) ended()
    })
  }
}

/** As `answer`, or CLOSED as soon as nobody waits any more. */
function untilAborted<T>(signal: AbortSignal | undefined, answer: Promise<T>): Promise<T> {
  if (signal === undefined) return answer
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new DelosError('CLOSED', 'the call was ended'))
    if (signal.aborted) aborted()
    signal.addEventListener('abort', aborted)
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
