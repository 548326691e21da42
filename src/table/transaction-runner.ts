// Runs a transaction until it is applied, is rejected for good, or has conflicted too often. A lost answer is asked for again
// with the same token, so nothing is applied twice.

import { DelosError, type ErrorCode } from '../base/delos-error.ts'
import type { Random, Timers } from '../runtime/runtime.ts'
import { requireKnown } from './codec/check-request.ts'
import type { Position, RejectionReason, TransactionAnswer, TransactionRequest } from './messages.ts'
import type { TableDatabase } from './table-database.ts'
import { TableTransaction } from './table-transaction.ts'

export interface TransactionOptions {
  /** How often it is tried in all before CONFLICT. Default 10. */
  readonly attempts?: number
  /** One's own token, for retries that outlive this process. Default: a random one. */
  readonly token?: string
}

export type TransactionResult<R> =
  | {
      readonly ok: true
      readonly position: Position
      /** What the body returned. */
      readonly value: R
      /** The token was used before, by an earlier call: that transaction was applied, this one was not. */
      readonly repeated: boolean
    }
  | {
      readonly ok: false
      readonly position: Position
      /** Which of the writes, from 0. */
      readonly operation: number
      readonly reason: RejectionReason
      readonly index?: string
      readonly detail: string
      /** The row that is in the way, or that did not meet the condition. */
      readonly current: unknown
      readonly version: number
    }

const ATTEMPTS = 10
const TRANSACTION_MEMBERS: ReadonlySet<string> = new Set(['attempts', 'token'])
const NEWS: ReadonlySet<ErrorCode> = new Set(['UNKNOWN_TABLE', 'UNKNOWN_COLUMN', 'INDEX_NOT_READY'])
const PAUSE_MS = 2
const PAUSE_MS_MAX = 100

export interface RunnerParts {
  readonly database: TableDatabase
  readonly timers: Timers
  readonly random: Random
  sync(): Promise<unknown>
}

/** `body` may be run several times: it must have no other effects. */
export async function runTransaction<R>(
  { database, random, sync, timers }: RunnerParts,
  body: (tx: TableTransaction) => Promise<R> | R,
  options: TransactionOptions,
): Promise<TransactionResult<R>> {
  requireKnown(options, TRANSACTION_MEMBERS, 'a transaction')
  const { attempts = ATTEMPTS, token = database.newToken() } = options
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new DelosError('INVALID_ARGUMENT', `attempts: ${attempts} is not a whole number from 1 on`)
  }
  let conflict = ''
  for (let attempt = 0; attempt < attempts; attempt++) {
    // The first attempt reads what this server has: if that is old, it conflicts.
    if (attempt > 0) {
      await new Promise<void>((resolve) => timers.after(pauseMs(attempt, random), resolve))
      await sync()
    }
    const tx = new TableTransaction(database)
    let value: R
    try {
      value = await body(tx)
    } catch (error) {
      // Whatever made it fail may be old, or of several moments.
      if (attempt + 1 === attempts || (await isStillSo(database, tx, error, attempt))) throw error
      conflict = error instanceof Error ? error.message : String(error)
      continue
    }
    const request = tx.request(token)
    let answer: TransactionAnswer
    try {
      answer = await database.transact(request)
    } catch (error) {
      answer = await sendAgain(database, request, attempts - 1, error)
    }
    if (answer.kind === 'committed') return { ok: true, position: answer.position, value, repeated: false }
    if (answer.kind === 'repeated') return { ok: true, position: answer.position, value, repeated: true }
    if (answer.kind === 'rejected') return rejectedResult(answer)
    conflict = answer.detail
  }
  throw new DelosError('CONFLICT', `the transaction conflicted ${attempts} times: ${conflict}`)
}

export function rejectedResult(
  answer: Extract<TransactionAnswer, { kind: 'rejected' }>,
): Extract<TransactionResult<never>, { ok: false }> {
  const { current, detail, index, operation, position, reason } = answer
  const result = {
    ok: false,
    position,
    operation,
    reason,
    detail,
    current: current.row,
    version: current.version,
  } as const
  return index === undefined ? result : { ...result, index }
}

/** Was what the body saw, before it threw, all there at one moment that is not past? */
async function isStillSo(
  database: TableDatabase,
  tx: TableTransaction,
  thrown: unknown,
  attempt: number,
): Promise<boolean> {
  const code = thrown instanceof DelosError ? thrown.code : undefined
  if (code === 'CONFLICT') return false
  // A table may have been made, or changed, at another server a moment ago.
  if (attempt === 0 && code !== undefined && NEWS.has(code)) return false
  const { ranges = [], reads = [] } = tx.request(undefined)
  if (ranges.length + reads.length === 0) return true
  try {
    return (await database.transact({ operations: [], reads, ranges })).kind !== 'conflict'
  } catch {
    return true // Then what the body threw is the better answer.
  }
}

/** The same entry again as long as nobody knows what became of it: its token lets it be applied once. */
async function sendAgain(
  database: TableDatabase,
  request: TransactionRequest,
  tries: number,
  lost: unknown,
): Promise<TransactionAnswer> {
  if (!isLost(lost)) throw lost
  for (let left = tries; left > 0; left--) {
    try {
      return await database.transact(request)
    } catch (error) {
      // That the next one is refused says nothing of the one before.
      if (!isLost(error)) break
    }
  }
  throw lost
}

function isLost(error: unknown): boolean {
  return error instanceof DelosError && error.code === 'INDETERMINATE'
}

function pauseMs(attempt: number, random: Random): number {
  return Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** attempt) * (0.5 + (random.bytes(1)[0] as number) / 512)
}
