// One transaction of this server between propose and result: the completion that travels down the stack, and what it becomes
// for whoever waits. Rows are decoded and copied when somebody looks at them.

import type { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import type { OutcomeRow, TransactionOutcome } from './apply/transaction-apply.ts'
import type { RowData } from './codec/row-codec.ts'
import type { RowAnswer, TransactionAnswer, TransactionRequest } from './messages.ts'
import type { TableResult } from './table-applicator.ts'

/** What became of it; `schema`: it is asked for anew. */
export type WriteOutcome = TransactionOutcome['kind'] | 'refused' | 'indeterminate'

/** The database that counts what is in flight. */
export interface PendingWriteOwner {
  /** `startMs`: as it was given. */
  settled(bytes: number, outcome: WriteOutcome, startMs: number): void
  /** A table had another schema: the request is encoded anew. */
  again(request: TransactionRequest, tries: number, completion: Completion<TransactionAnswer>): void
}

export class PendingWrite implements Completion<TableResult> {
  private readonly owner: PendingWriteOwner
  private readonly bytes: number
  private readonly startMs: number
  private readonly request: TransactionRequest
  private readonly tries: number
  private readonly completion: Completion<TransactionAnswer>

  constructor(
    owner: PendingWriteOwner,
    bytes: number,
    startMs: number,
    request: TransactionRequest,
    tries: number,
    completion: Completion<TransactionAnswer>,
  ) {
    this.owner = owner
    this.bytes = bytes
    this.startMs = startMs
    this.request = request
    this.tries = tries
    this.completion = completion
  }

  resolve(result: TableResult): void {
    const outcome = result as TransactionOutcome
    this.owner.settled(this.bytes, outcome.kind, this.startMs)
    if (outcome.kind === 'schema') this.owner.again(this.request, this.tries + 1, this.completion)
    else this.completion.resolve(answerOf(outcome))
  }

  reject(error: DelosError): void {
    this.owner.settled(this.bytes, error.code === 'INDETERMINATE' ? 'indeterminate' : 'refused', this.startMs)
    this.completion.reject(error)
  }
}

function answerOf(outcome: Exclude<TransactionOutcome, { kind: 'schema' }>): TransactionAnswer {
  if (outcome.kind === 'committed') {
    const { position, rows } = outcome
    return { kind: 'committed', position, rows: rows.map((row) => new LazyRow(row)) }
  }
  if (outcome.kind !== 'rejected') return outcome
  const { current, detail, index, operation, position, reason } = outcome
  const rejected = { kind: 'rejected', position, operation, reason, detail, current: new LazyRow(current) } as const
  return index === undefined ? rejected : { ...rejected, index }
}

class LazyRow implements RowAnswer {
  private readonly outcome: OutcomeRow
  private copy: RowData | undefined

  constructor(outcome: OutcomeRow) {
    this.outcome = outcome
  }

  get version(): number {
    return this.outcome.stored?.version ?? 0
  }

  get row(): RowData | undefined {
    const { stored, table } = this.outcome
    if (stored === undefined) return undefined
    this.copy ??= table.rows.copy(stored.row(table))
    return this.copy
  }
}
