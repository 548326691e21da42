// A second server that never dies: it plays the same log into a store of its own, through whatever log the real server has open
// now. At the same position of the log both stores must hold the same rows, Base's and the engines' included.

import { DelosError } from '../../../base/delos-error.ts'
import type { Applicator } from '../../../engine/engine.ts'
import { type EngineFactory, Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { LOG_START, type LogPos } from '../../../log/position.ts'
import type { AppendOutcome, LogRead, SharedLog } from '../../../log/shared-log.ts'
import { type MemoryStore, openMemoryStore } from '../../../store/memory-store.ts'
import type { Life } from '../../life.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'

export class ShadowStack<R> {
  readonly stack: Stack<R>
  private readonly store: MemoryStore
  private readonly log = new BorrowedLog()
  private started = false

  /** `member`: the id of the real server, which alone is in the view. */
  constructor(world: Simulation, database: string, engines: readonly EngineFactory[], member: () => string) {
    const { clock, random, timers } = world
    this.store = openMemoryStore({ runtime: { clock, timers, random: random.fork('shadow') } })
    const { log, store } = this
    this.stack = new Stack<R>({
      serverId: 'shadow',
      bottom: new BaseEngine({ serverId: 'shadow', log, store, clock, timers, limits: { retryMs: 5 } }),
      engines: [batchingEngine(), ...engines],
      membership: () => ({ missing: () => [], members: () => [member()] }),
      clock,
      timers,
      random,
      database,
    })
  }

  /** Goes on through the log of a new life of the real server. */
  async follow(log: SharedLog, life: Life): Promise<void> {
    this.log.borrow(log, life)
    if (this.started) return
    await this.stack.start()
    this.started = true
  }

  attach(applicator: Applicator<R>): void {
    this.stack.attach(applicator, { keepsLog: true })
  }

  get cursor(): LogPos {
    return this.stack.status().cursor
  }

  /** Compares with a store at the position `cursor`; false if this one stands elsewhere. */
  compare(store: MemoryStore, cursor: LogPos): boolean {
    const { failure } = this.stack.status()
    check(failure === undefined, `the log can't be played: ${failure?.stack}`)
    if (cursor !== this.cursor) return false
    const own = rows(this.store)
    const other = rows(store)
    const wrong = own.findIndex((row, i) => row !== other[i])
    check(wrong === -1 && own.length === other.length, `at ${cursor} two stores differ: ${own[wrong]}, ${other[wrong]}`)
    return true
  }
}

function rows(store: MemoryStore): string[] {
  return [...store.read().scan({ from: '' })].map(
    ([key, value]) => `${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`,
  )
}

/** The log of somebody else's process, for as long as that lives; between two lives it answers that it is not there. */
class BorrowedLog implements SharedLog {
  private log: SharedLog | undefined
  private life: Life | undefined
  private readonly listeners = new Set<(tail: LogPos) => void>()

  borrow(log: SharedLog, life: Life): void {
    this.log = log
    this.life = life
    log.onTailMoved((tail) => this.tellAll(tail))
    this.tellAll(log.knownTail)
  }

  get maxEntryBytes(): number {
    return 0
  }

  get knownTail(): LogPos {
    return this.log?.knownTail ?? LOG_START
  }

  append(): Promise<AppendOutcome> {
    return Promise.resolve({ kind: 'refused', cause: new DelosError('CLOSED', 'a shadow proposes nothing') })
  }

  checkTail(): Promise<LogPos> {
    return this.ask((log) => log.checkTail())
  }

  readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    return this.ask((log) => log.readNext(from, to, maxBytes))
  }

  prefixTrim(): Promise<void> {
    return Promise.resolve()
  }

  onTailMoved(listener: (tail: LogPos) => void): () => void {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    return this.log?.oldest() ?? { pos: LOG_START, wallMs: undefined }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private tellAll(tail: LogPos): void {
    for (const listener of this.listeners) listener(tail)
  }

  // Whatever the disk of a dying process answers, its next life may answer otherwise.
  private ask<T>(call: (log: SharedLog) => Promise<T>): Promise<T> {
    const { life, log } = this
    if (!log || !life?.alive) return Promise.reject(away())
    return new Promise((resolve, reject) => {
      life.onEnd(() => reject(away()))
      call(log).then(resolve, (error: unknown) => {
        const final = error instanceof DelosError && ['CORRUPT', 'TRIMMED', 'FORMAT'].includes(error.code)
        reject(final ? error : away())
      })
    })
  }
}

function away(): DelosError {
  return new DelosError('TIMEOUT', 'the log is not there')
}
