// What a stack needs of its lowest engine beyond the common contract: a life cycle, a status, and times of what was just
// applied. Base implements it; nothing above Base sees it except through the stack.

import { DelosError, type ErrorCode } from '../base/delos-error.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadTx } from '../store/local-store.ts'
import type { PositionedDigest } from './digest.ts'
import type { ContentEdited } from './edits.ts'
import type { Engine } from './engine.ts'
import type { EngineLevels } from './membership.ts'

/**
 * starting: before `start` resolved. catching up: behind the tail it saw at start, takes no proposals. serving. stopped: an
 * entry or the disk ended it for good. closed: by `stop`.
 */
export type StackState = 'starting' | 'catching up' | 'serving' | 'stopped' | 'closed'

/** Why and where a database stopped. What an operator needs to void the entry or to file a bug. */
export interface StopReport {
  readonly code: ErrorCode
  readonly message: string
  /** The first position that was not applied. */
  readonly position: LogPos
  /** The first bytes of the entry at that position as hex, if it is an entry that stopped it. */
  readonly entryHex: string | undefined
  /** Positions of the repairs that were delivered with that entry. */
  readonly repairs?: readonly LogPos[]
  /** Call stack of what was thrown, causes included. */
  readonly stack: string
}

/** Times of the entry whose completions are being called, on the monotonic clock. Valid only during those calls. */
export interface ApplyTimes {
  readonly proposedMs: number
  /** When the log's acknowledgement was seen; when apply began, if that was first. */
  readonly appendedMs: number
  readonly applyStartMs: number
  readonly applyEndMs: number
}

export interface BottomStatus {
  readonly state: StackState
  readonly failure: StopReport | undefined
  /** First position not yet applied. */
  readonly cursor: LogPos
  /** Below it everything is applied and durable here. */
  readonly durableCursor: LogPos
  /** The tail as far as this server knows it. */
  readonly knownTail: LogPos
  /** What the layers above allow to trim. */
  readonly trimPrefix: LogPos
  readonly incarnation: number
  readonly pendingProposals: number
  readonly pendingBytes: number
  /** Cumulative counts since the start of this process. */
  readonly appliedEntries: number
  readonly appliedBytes: number
  readonly transactions: number
  readonly duplicatesDropped: number
  readonly voidedEntries: number
  readonly refusedAppends: number
  readonly indeterminateAppends: number
  readonly tailChecks: number
  readonly failedTrims: number
  /** Cumulative time inside transactions, postApply and completions. Its rate is the utilisation of apply. */
  readonly applyMs: number
  /** Digests that the log asked for; skipped are those that found too many others waiting. */
  readonly digestsTaken: number
  readonly digestsSkipped: number
}

/** Proposals of this server and this process. If some wait and `answered` stands still, the log gives nothing back. */
export interface ProposalCounts {
  /** Handed to the log and not settled. */
  readonly waiting: number
  /** Came back: applied here. Cumulative. */
  readonly answered: number
}

export interface BottomEngine extends Engine<unknown> {
  readonly name: string
  readonly maxEntryBytes: number
  readonly durableCursor: LogPos
  readonly lastTimes: ApplyTimes
  readonly proposals: ProposalCounts
  /** The newest digest that this server has taken (see digest.ts). */
  readonly lastDigest: PositionedDigest | undefined
  /** See ContentEdited. */
  readonly edited?: ContentEdited
  /** Ends the database at this server, as an exception in apply would: for an engine that finds it must not go on. */
  stopWith(error: DelosError): void
  /** The committed state of this server, as of any position up to now. Not linearizable. */
  read(): ReadTx
  /** Called at most once per state after `start`, in order. */
  onStateChange(listener: (state: StackState) => void): void
  /** Loads its state and begins to apply. Resolves once the log's tail is known; rejects if this server can't play the log. */
  start(levels: EngineLevels): Promise<void>
  /** Refuses what comes, rejects what waits, makes what is applied durable. Idempotent. */
  stop(): Promise<void>
  status(): BottomStatus
}

/** Disk and log, a stack that lacks an engine, an orderly end: nothing that another server would meet at the same entry. */
const NOT_OF_AN_ENTRY: ReadonlySet<ErrorCode> = new Set(['IO_ERROR', 'DISK_FULL', 'CLOSED', 'TRIMMED', 'UNSUPPORTED'])

/** True if it was an entry that stopped the database, so that every server of the same build stops there. */
export function stoppedAtEntry({ code, entryHex }: StopReport): boolean {
  return entryHex !== undefined && !NOT_OF_AN_ENTRY.has(code)
}

/** What everybody who waits is told of a stopped database. */
export function stoppedError(failure: StopReport | undefined): DelosError {
  if (failure === undefined) return new DelosError('STOPPED', 'the database stopped')
  return new DelosError(
    failure.code === 'TRIMMED' ? 'TRIMMED' : 'STOPPED',
    `the database stopped at position ${failure.position}: ${failure.message}`,
  )
}
