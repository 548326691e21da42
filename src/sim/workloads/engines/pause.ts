// A process that stands still for a while (a long collection, a suspended machine): its timers fire late, and what the log and
// the disk answer meanwhile reaches it afterwards, in order. Its clocks go on.

import type { LogPos } from '../../../log/position.ts'
import type { SharedLog } from '../../../log/shared-log.ts'
import type { Timers } from '../../../runtime/runtime.ts'
import type { StoreBackend } from '../../../store/store-backend.ts'
import type { Life } from '../../life.ts'

/** Of one process. */
export class Pause {
  private readonly life: Life
  private held: (() => void)[] = []
  private standing = false

  constructor(life: Life) {
    this.life = life
  }

  get paused(): boolean {
    return this.standing
  }

  begin(): void {
    this.standing = true
  }

  /** Everything that was held happens now. */
  end(): void {
    this.standing = false
    const { held } = this
    this.held = []
    for (const action of held) this.pass(action)
  }

  /** Does `action` as soon as the process runs; never once it is dead. */
  pass(action: () => void): void {
    if (!this.life.alive) return
    if (this.standing) this.held.push(action)
    else action()
  }

  /** The same answer, as soon as the process runs. */
  answer<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.pass(() => resolve(value)),
        (error: unknown) => this.pass(() => reject(error)),
      )
    })
  }

  /** Resolves as soon as the process runs. */
  over(): Promise<void> {
    return new Promise((resolve) => this.pass(resolve))
  }

  timers(inner: Timers): Timers {
    return {
      after: (delayMs, callback) => {
        let due = true
        const timer = inner.after(delayMs, () =>
          this.pass(() => {
            if (due) callback()
          }),
        )
        return {
          cancel: () => {
            due = false
            timer.cancel()
          },
        }
      },
      soon: (callback) => inner.soon(() => this.pass(callback)),
    }
  }

  /** The log as this process sees it: it makes no calls while it stands. `trims` is told what it trims. */
  log(inner: SharedLog, trims: (to: LogPos) => void): SharedLog {
    return {
      get maxEntryBytes() {
        return inner.maxEntryBytes
      },
      get knownTail() {
        return inner.knownTail
      },
      append: (bytes) => this.answer(inner.append(bytes)),
      checkTail: () => this.answer(inner.checkTail()),
      readNext: (from, to, maxBytes) => this.answer(inner.readNext(from, to, maxBytes)),
      prefixTrim: (to) => {
        trims(to)
        return this.answer(inner.prefixTrim(to))
      },
      onTailMoved: (listener) => inner.onTailMoved((tail) => this.pass(() => listener(tail))),
      oldest: () => inner.oldest(),
      close: () => inner.close(),
    }
  }

  backend(inner: StoreBackend): StoreBackend {
    return {
      get: (key) => inner.get(key),
      getMany: (keys) => inner.getMany(keys),
      readRange: (from, to, reverse, rowsMax, keysOnly) => inner.readRange(from, to, reverse, rowsMax, keysOnly),
      getLocal: (key) => inner.getLocal(key),
      openSnapshot: () => inner.openSnapshot(),
      digest: () => this.answer(inner.digest()),
      write: (batch, sync) => this.answer(inner.write(batch, sync)),
      close: () => inner.close(),
    }
  }
}
