// How transactions of this server get into the log: encoded, counted while they are under way, encoded anew when a schema changed
// under them. Not here: what they are (codec/), attempts of optimistic ones (transaction-runner.ts).

import { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import { type Entry, entryOf } from '../engine/entry.ts'
import type { Clock } from '../runtime/runtime.ts'
import type { TransactionEncoder } from './codec/transaction-codec.ts'
import type { TransactionAnswer, TransactionRequest } from './messages.ts'
import { PendingWrite, type PendingWriteOwner, type WriteOutcome } from './pending-write.ts'
import type { TableResult } from './table-applicator.ts'
import type { TableLimits } from './table-limits.ts'
import type { TableRequestStats } from './table-stats.ts'

/** The top of a stack of engines, as a database sees it. */
export interface TableLog {
  submit(entry: Entry, completion: Completion<TableResult>): void
  sync(): Promise<unknown>
}

export interface SubmitterParts {
  readonly clock: Clock
  readonly encoder: TransactionEncoder
  readonly limits: TableLimits
  readonly log: TableLog
  readonly stats: TableRequestStats
}

/** How often an entry is made anew because a schema changed under it. */
const SCHEMA_TRIES = 5
const UNTIMED = -1

export class TransactionSubmitter implements PendingWriteOwner {
  /** What is in the log's hands. */
  count = 0
  bytes = 0
  private readonly parts: SubmitterParts

  constructor(parts: SubmitterParts) {
    this.parts = parts
  }

  /** Never throws. */
  submit(request: TransactionRequest, completion: Completion<TransactionAnswer>): void {
    this.tryToSubmit(request, 0, completion)
  }

  /** Called by PendingWrite alone. */
  settled(bytes: number, outcome: WriteOutcome, startMs: number): void {
    this.count--
    this.bytes -= bytes
    const { clock, stats } = this.parts
    if (outcome === 'schema') return
    stats.requests.transaction[outcome]++
    if (startMs !== UNTIMED) stats.times.transaction.record(clock.monotonicMs() - startMs)
  }

  /** Called by PendingWrite alone. */
  again(request: TransactionRequest, tries: number, completion: Completion<TransactionAnswer>): void {
    if (tries < SCHEMA_TRIES) return this.tryToSubmit(request, tries, completion)
    const detail = `a schema changed ${tries} times under the transaction`
    this.refuse(new DelosError('SCHEMA_CHANGED', detail), completion)
  }

  private tryToSubmit(request: TransactionRequest, tries: number, completion: Completion<TransactionAnswer>): void {
    const { clock, encoder, log, stats } = this.parts
    let payload: Buffer
    try {
      payload = encoder.encode(request)
    } catch (thrown) {
      this.notEncoded(thrown, request, tries, completion)
      return
    }
    const bytes = payload.length
    const refusal = this.overload(bytes)
    if (refusal !== undefined) return this.refuse(refusal, completion)
    this.count++
    this.bytes += bytes
    const startMs = stats.sampled() ? clock.monotonicMs() : UNTIMED
    log.submit(entryOf(payload), new PendingWrite(this, bytes, startMs, request, tries, completion))
  }

  /** A table or column that is not known here may have been made at another server a moment ago. */
  private notEncoded(
    thrown: unknown,
    request: TransactionRequest,
    tries: number,
    completion: Completion<TransactionAnswer>,
  ): void {
    const error = DelosError.from(thrown, 'INVALID_ARGUMENT', 'the transaction')
    const isNews = error.code === 'UNKNOWN_TABLE' || error.code === 'UNKNOWN_COLUMN' || error.code === 'INDEX_NOT_READY'
    if (tries > 0 || !isNews) return this.refuse(error, completion)
    this.parts.log.sync().then(
      () => this.tryToSubmit(request, tries + 1, completion),
      (failure: unknown) => this.refuse(DelosError.from(failure, 'STOPPED', 'sync'), completion),
    )
  }

  private refuse(error: DelosError, completion: Completion<TransactionAnswer>): void {
    this.parts.stats.requests.transaction.refused++
    completion.reject(error)
  }

  private overload(bytes: number): DelosError | undefined {
    const { pendingBytesMax, pendingMax } = this.parts.limits
    if (this.count >= pendingMax) {
      return new DelosError('OVERLOADED', `pendingMax: ${pendingMax} transactions are in the log's hands`)
    }
    if (this.bytes + bytes <= pendingBytesMax || this.count === 0) return undefined
    return new DelosError('OVERLOADED', `pendingBytesMax: ${this.bytes} bytes are in the log's hands`)
  }
}
