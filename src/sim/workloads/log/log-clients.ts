// Clients of one virtual log during one life of its process: they append, follow the tail, read again and check the tail, all
// at once, and hand every answer to the model. Not here: reconfigurations (log-operator.ts), and who dies when.

import { DelosError } from '../../../base/delos-error.ts'
import { LOG_START, type LogPos } from '../../../log/position.ts'
import type { AppendOutcome } from '../../../log/shared-log.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds, type Actors, Gate } from '../actors.ts'
import type { LogModel } from './log-model.ts'

/** Limits of the log under test, virtual milliseconds: short, so that a seed meets them. */
export const LOG_LIMITS = { appendLimitMs: 4_000, readLimitMs: 2_000, chainLimitMs: 2_000, rollForwardMs: 15 }
/** How far past a limit an answer may come. */
const SLACK_MS = 1_000
/** A reader is at the tail this long after the last append, at most. */
const CATCH_UP_MS = 5_000

export interface ClientOptions {
  readonly actors: Actors
  readonly log: VirtualLog
  readonly model: LogModel
  /** Largest entry that the log takes. */
  readonly maxEntryBytes: number
  /** Entries above this are chunked. */
  readonly chunkBytes: number
  /** Called for each call that was answered. */
  readonly operated: () => void
}

export class LogClients {
  /** Everybody who calls the log passes it; who must be alone shuts it. */
  readonly gate = new Gate()
  private readonly options: ClientOptions
  private readonly world: Simulation
  private tailer = LOG_START
  private wake: () => void = () => undefined
  private quiet = false

  constructor(options: ClientOptions) {
    this.options = options
    this.world = options.actors.world
  }

  /** Begins with so many appenders. */
  start(appenders: number): void {
    const { actors, log, model } = this.options
    this.tailer = log.oldest().pos
    let last = log.knownTail
    log.onTailMoved((tail) =>
      actors.guard(() => {
        check(tail > last, `the tail moved to ${tail} after ${last}`)
        last = tail
        model.tailMoved(tail)
        this.wake()
      }),
    )
    for (let i = 0; i < appenders; i++) actors.repeat(() => this.append())
    actors.repeat(() => this.follow())
    actors.repeat(() => this.reread())
    actors.repeat(() => this.checkTail())
  }

  /** Stops the appenders and waits until the reader at the tail has everything: readers always progress. */
  async catchUp(): Promise<void> {
    const { actors, model } = this.options
    this.quiet = true
    const { floor } = model
    const endMs = this.world.queue.nowMs + CATCH_UP_MS
    while (this.tailer < floor) {
      check(this.world.queue.nowMs < endMs, `a reader at ${this.tailer} does not get to ${floor} in ${CATCH_UP_MS} ms`)
      await actors.pause(10)
    }
    this.quiet = false
  }

  /** One append of a random entry. */
  async append(): Promise<void> {
    const { actors } = this.options
    const { random } = this.world
    if (this.quiet) await actors.pause(20)
    else await this.gate.pass(() => this.appendEntry())
    if (random.chance(0.3)) await actors.pause(random.fraction() * 3)
  }

  /** Reads all that there is, from the oldest position to the tail. */
  async readAll(): Promise<void> {
    const { log, model } = this.options
    const to = await this.tail()
    let at = log.oldest().pos
    model.oldest(at)
    while (at < to) {
      const next = await this.read(at, to, 10_000)
      check(next > at, `nothing can be read at ${at}, though the log reaches to ${to}`)
      at = next
    }
  }

  private async appendEntry(): Promise<void> {
    const { actors, chunkBytes, log, maxEntryBytes, model, operated } = this.options
    const record = model.begin(this.length(), this.world.random.chance(0.05))
    const call = log.append(record.bytes)
    const outcome = await actors.answer('an append', LOG_LIMITS.appendLimitMs + SLACK_MS, call)
    operated()
    const { length } = record.bytes
    if (outcome.kind === 'appended') {
      model.acknowledged(record, outcome.pos)
      check(length <= maxEntryBytes, `an entry of ${length} bytes was taken, the limit is ${maxEntryBytes}`)
      this.world.trace.note('appended', outcome.pos)
    } else {
      if (outcome.kind === 'refused') model.refused(record)
      if (length > chunkBytes) this.world.counters.bump('chunked append failed')
      await this.afterFailure(outcome, length)
    }
  }

  private async afterFailure(outcome: Exclude<AppendOutcome, { kind: 'appended' }>, length: number): Promise<void> {
    const { actors, maxEntryBytes } = this.options
    const { cause, kind } = outcome
    this.world.trace.note(kind, cause.code)
    this.world.counters.bump(`append ${kind}: ${cause.code}`)
    if (cause.code === 'LIMIT_EXCEEDED') {
      check(length > maxEntryBytes, `an entry of ${length} bytes was refused, the limit is ${maxEntryBytes}`)
    } else if (cause.retryable || cause.code === 'INDETERMINATE') {
      await actors.pause(this.world.random.fraction() * 20)
    } else if (cause.code === 'CLOSED') throw new ActorEnds()
    else throw cause
  }

  private length(): number {
    const { chunkBytes, maxEntryBytes } = this.options
    const { random } = this.world
    if (random.chance(0.05)) return random.integer(chunkBytes, maxEntryBytes)
    if (random.chance(0.01)) return maxEntryBytes + 1
    return random.integer(1, random.chance(0.2) ? chunkBytes : 60)
  }

  /** The tail as checked now. */
  private async tail(): Promise<LogPos> {
    const { actors, log, model, operated } = this.options
    const asked = model.floor
    const tail = await actors.answer('a tail check', LOG_LIMITS.readLimitMs + SLACK_MS, log.checkTail())
    operated()
    model.tail(asked, tail)
    return tail
  }

  private async checkTail(): Promise<void> {
    await this.tolerant(() => this.gate.pass(async () => void (await this.tail())))
    await this.options.actors.pause(this.world.random.fraction() * 30)
  }

  // Follows the log as it grows, waiting for nothing but its word.
  private async follow(): Promise<void> {
    const { log } = this.options
    if (log.knownTail > this.tailer) {
      const before = this.tailer
      await this.tolerant(() =>
        this.gate.pass(async () => this.advance(await this.read(this.tailer, this.tailer + 1e9))),
      )
      // Announced and not readable yet, or refused.
      if (this.tailer === before) await this.options.actors.pause(1)
    } else {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  private advance(next: LogPos): void {
    if (next > this.tailer) this.tailer = next
  }

  private async reread(): Promise<void> {
    const { actors, log, model } = this.options
    const { random } = this.world
    await actors.pause(random.fraction() * 20)
    const oldest = log.oldest().pos
    model.oldest(oldest)
    const from = random.integer(Math.max(0, oldest - 5), Math.max(oldest, model.floor))
    await this.tolerant(() =>
      this.gate.pass(async () => void (await this.read(from as LogPos, from + random.below(40)))),
    )
  }

  private async read(from: LogPos, to: number, bytes = this.world.random.pick([1, 100, 1_000])): Promise<LogPos> {
    const { actors, log, model, operated } = this.options
    const { voided } = log.chain
    const call = log.readNext(from, to as LogPos, bytes)
    const read = await actors.answer('a read', LOG_LIMITS.readLimitMs + SLACK_MS, call)
    operated()
    model.read(from, to as LogPos, voided, read)
    return read.next
  }

  // Whatever may succeed later is tried again later.
  private async tolerant(call: () => Promise<void>): Promise<void> {
    try {
      await call()
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.world.counters.bump(`call failed: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (!error.retryable && error.code !== 'INDETERMINATE') throw error
      await this.options.actors.pause(5)
    }
  }
}
