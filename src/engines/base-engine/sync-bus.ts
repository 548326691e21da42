// sync: one tail check at a time, shared by everybody who came before it left. Whoever comes while it is under way takes the
// next one, or a sync could be answered by a tail that was read before it was asked.

import { DelosError } from '../../base/delos-error.ts'
import type { LogPos } from '../../log/position.ts'
import type { Timer, Timers } from '../../runtime/runtime.ts'
import type { ReadTx } from '../../store/local-store.ts'

export interface SyncBusParts {
  readonly timers: Timers
  /** From sync to TIMEOUT. */
  readonly deadlineMs: number
  checkTail(): Promise<LogPos>
  /** The log is at least this long: apply up to it. */
  tailSeen(tail: LogPos): void
  cursor(): LogPos
  read(): ReadTx
}

/** Everybody who shares one tail check, and one promise. */
interface Bus {
  readonly promise: Promise<ReadTx>
  readonly resolve: (tx: ReadTx) => void
  readonly reject: (error: DelosError) => void
  readonly timer: Timer
  /** Set when the check came back: where the cursor must be. */
  tail: LogPos | undefined
}

export class SyncBus {
  private readonly parts: SyncBusParts
  /** Still boarding. */
  private next: Bus | undefined
  /** Left, checking or waiting for the cursor; in order of their tails. */
  private readonly under: Set<Bus> = new Set()
  /** Whose tail check is under way. */
  private checking: Bus | undefined
  private ended: DelosError | undefined
  private checks = 0

  constructor(parts: SyncBusParts) {
    this.parts = parts
  }

  get tailChecks(): number {
    return this.checks
  }

  /** Resolves once everything that completed before the call is applied here. */
  sync(): Promise<ReadTx> {
    if (this.ended !== undefined) return Promise.reject(this.ended)
    if (this.next !== undefined) return this.next.promise
    this.next = this.newBus()
    // It leaves at the end of the current synchronous section, so that all syncs of the section share it.
    if (this.checking === undefined) queueMicrotask(() => this.depart())
    return this.next.promise
  }

  /** The cursor moved. */
  advanced(cursor: LogPos): void {
    if (this.under.size === 0) return
    for (const bus of this.under) {
      if (bus.tail === undefined || bus.tail > cursor) continue
      this.end(bus)
      bus.resolve(this.parts.read())
    }
  }

  /** Rejects everybody, now and from now on. */
  close(error: DelosError): void {
    this.ended ??= error
    const all = this.next === undefined ? [...this.under] : [...this.under, this.next]
    this.next = undefined
    for (const bus of all) {
      this.end(bus)
      bus.reject(error)
    }
  }

  private depart(): void {
    const bus = this.next
    if (bus === undefined || this.checking !== undefined) return
    this.next = undefined
    this.under.add(bus)
    this.checking = bus
    this.checks++
    this.parts.checkTail().then(
      (tail) => {
        this.checked(bus)
        if (!this.under.has(bus)) return
        bus.tail = tail
        this.parts.tailSeen(tail)
        this.advanced(this.parts.cursor())
      },
      (thrown: unknown) => {
        this.checked(bus)
        if (!this.under.has(bus)) return
        this.end(bus)
        bus.reject(DelosError.from(thrown, 'IO_ERROR', 'the tail of the log could not be read'))
      },
    )
  }

  // Its check is over, or has taken so long that nobody waits for it any more.
  private checked(bus: Bus): void {
    if (this.checking !== bus) return
    this.checking = undefined
    this.depart()
  }

  private end(bus: Bus): void {
    bus.timer.cancel()
    this.under.delete(bus)
  }

  private newBus(): Bus {
    let resolve!: (tx: ReadTx) => void
    let reject!: (error: DelosError) => void
    const promise = new Promise<ReadTx>((resolved, rejected) => {
      resolve = resolved
      reject = rejected
    })
    const { deadlineMs } = this.parts
    const timer = this.parts.timers.after(deadlineMs, () => {
      if (this.next === bus) this.next = undefined
      this.under.delete(bus)
      this.checked(bus)
      bus.reject(new DelosError('TIMEOUT', `sync: the log's tail was not reached within ${deadlineMs} ms`))
    })
    const bus: Bus = { promise, resolve, reject, timer, tail: undefined }
    return bus
  }
}
