// One slice of apply: some entries in one transaction, then their postApply calls, then the completions, as one synchronous
// section. Not here: where entries come from, and when the next slice runs (apply-loop.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { ApplyTimes, StopReport } from '../../engine/bottom-engine.ts'
import { DIGEST_HEADER } from '../../engine/digest.ts'
import { EDIT_HEADER } from '../../engine/edits.ts'
import type { Applicator } from '../../engine/engine.ts'
import { refuseUnknownHeaders } from '../../engine/engine-layer.ts'
import type { Entry } from '../../engine/entry.ts'
import { decodeEntry } from '../../engine/entry-codec.ts'
import type { EngineLevels } from '../../engine/membership.ts'
import type { LogPos } from '../../log/position.ts'
import type { LogEntry } from '../../log/shared-log.ts'
import type { Clock } from '../../runtime/runtime.ts'
import type { LocalStore, Transaction } from '../../store/local-store.ts'
import { saveCursor } from './cursor.ts'
import type { DuplicateFilter } from './duplicate-filter.ts'
import type { Pending, PendingProposals } from './pending-proposals.ts'
import { BASE, type ProposalStamp, readStamp, type Stamper } from './proposal-stamp.ts'

export interface SliceLimits {
  /** A slice begins no further entry after this long. */
  readonly sliceMs: number
  /** A slice begins no further entry after this many bytes of log. */
  readonly sliceBytes: number
}

export interface SliceParts extends SliceLimits {
  readonly store: LocalStore
  readonly clock: Clock
  readonly duplicates: DuplicateFilter
  readonly pending: PendingProposals
  readonly levels: EngineLevels
  readonly applicator: Applicator<unknown>
  /** Knows which entries are this server's own, of this life. */
  readonly stamper: Stamper
}

export interface SliceResult {
  /** Entries of the input that are done with. */
  readonly done: number
  readonly bytes: number
  /** The cursor after the commit. */
  readonly cursor: LogPos
  /** Set if the last applied entry asks for a digest of what is committed now: its position. */
  readonly digestAt: LogPos | undefined
  /** Set if the database must stop at `cursor`. */
  readonly failure: StopReport | undefined
}

/** Cumulative. */
export interface SliceCounts {
  entries: number
  bytes: number
  transactions: number
  /** Proposals of this process that came back. */
  answered: number
  duplicates: number
  voided: number
  applyMs: number
}

const HEX_BYTES = 64

export class SliceRunner {
  readonly counts: SliceCounts = {
    entries: 0,
    bytes: 0,
    transactions: 0,
    answered: 0,
    duplicates: 0,
    voided: 0,
    applyMs: 0,
  }
  readonly times = { proposedMs: 0, appendedMs: 0, applyStartMs: 0, applyEndMs: 0 } satisfies ApplyTimes
  private readonly parts: SliceParts
  // What the open transaction applied, in order; kept to save allocations.
  private readonly entries: Entry[] = []
  private readonly positions: LogPos[] = []
  private readonly results: unknown[] = []
  private readonly waiting: (Pending | undefined)[] = []
  private readonly tooLate: Pending[] = []

  constructor(parts: SliceParts) {
    this.parts = parts
  }

  /**
   * Applies entries from index `from` on until they or the budget end. `next` is the cursor behind the last of them. If one
   * can't be understood, what is before it is committed; if apply throws, nothing of the slice is. An entry that asks for a
   * digest ends the slice, so that all servers take it of the same content. One that edits, or is repaired, begins a slice.
   */
  run(entries: readonly LogEntry[], from: number, cursor: LogPos, next: LogPos): SliceResult {
    const { clock, sliceBytes, sliceMs } = this.parts
    const startMs = clock.monotonicMs()
    this.times.applyStartMs = startMs
    let tx: Transaction | undefined
    let at = from
    let reached = cursor
    let bytes = 0
    let digestAt: LogPos | undefined
    let failure: StopReport | undefined
    try {
      tx = this.parts.store.begin()
      while (at < entries.length) {
        const logged = entries[at] as LogEntry
        if (logged.repairs !== undefined && at > from) break
        const entry = logged.voided ? undefined : understand(logged, this.parts.levels)
        if (entry instanceof DelosError) {
          failure = report(entry, logged.pos, logged)
          break
        }
        if (at > from && entry !== undefined && isEdit(entry)) break
        if (logged.repairs !== undefined) this.applyRepairs(tx, logged.repairs, logged.pos)
        if (entry === undefined) this.counts.voided++
        else if (this.applyOne(tx, entry, logged.pos) && entry.headers.has(DIGEST_HEADER)) digestAt = logged.pos
        bytes += logged.bytes.length
        reached = (logged.pos + 1) as LogPos
        at++
        if (digestAt !== undefined || bytes >= sliceBytes || clock.monotonicMs() - startMs >= sliceMs) break
      }
      if (at === entries.length) reached = next
      this.parts.duplicates.write(tx)
      saveCursor(tx, reached)
      tx.commit()
    } catch (thrown) {
      this.abort(tx)
      const logged = entries[at]
      return {
        done: from,
        bytes: 0,
        cursor,
        digestAt: undefined,
        failure: report(thrown, logged?.pos ?? cursor, logged),
      }
    }
    failure = this.committed(reached, startMs, bytes) ?? failure
    return { done: at, bytes, cursor: reached, digestAt, failure }
  }

  /** At the position that they repair. */
  private applyRepairs(tx: Transaction, repairs: readonly LogEntry[], pos: LogPos): void {
    for (const repair of repairs) {
      // One that did harm itself.
      if (repair.voided) continue
      const entry = understand(repair, this.parts.levels)
      if (entry instanceof DelosError) throw entry
      this.applyOne(tx, entry, pos)
    }
  }

  /** False if it is a duplicate, and dropped. */
  private applyOne(tx: Transaction, entry: Entry, pos: LogPos): boolean {
    const header = entry.headers.get(BASE)
    let pending: Pending | undefined
    if (header !== undefined) {
      const stamp = readStamp(header.bytes)
      const arrival = this.parts.duplicates.arrive(stamp, pos)
      if (arrival !== 'new') {
        this.counts.duplicates++
        this.noteTooLate(stamp)
        return false
      }
      pending = this.parts.stamper.made(stamp) ? this.parts.pending.find(stamp.localId) : undefined
    }
    const result = this.parts.applicator.apply(tx, entry, pos)
    this.entries.push(entry)
    this.positions.push(pos)
    this.results.push(result)
    this.waiting.push(pending)
    return true
  }

  // Whoever still waits for an entry that is dropped: no copy of it was applied before, and none ever will be.
  private noteTooLate(stamp: ProposalStamp): void {
    const pending = this.parts.stamper.made(stamp) ? this.parts.pending.find(stamp.localId) : undefined
    if (pending !== undefined && !this.waiting.includes(pending)) this.tooLate.push(pending)
  }

  // The part of the section behind the commit: soft state first, for all of them, then whoever waits.
  private committed(cursor: LogPos, startMs: number, bytes: number): StopReport | undefined {
    const { entries, positions, results, waiting } = this
    const { applicator, clock, duplicates, pending } = this.parts
    duplicates.committed()
    this.counts.transactions++
    this.counts.entries += entries.length
    this.counts.bytes += bytes
    let at = 0
    let completed = 0
    try {
      for (; at < entries.length; at++) applicator.postApply(entries[at] as Entry, positions[at] as LogPos, results[at])
      this.times.applyEndMs = clock.monotonicMs()
      for (; completed < waiting.length; completed++) {
        const proposal = waiting[completed]
        if (proposal === undefined || pending.take(proposal.localId) === undefined) continue
        this.times.proposedMs = proposal.proposedMs
        this.times.appendedMs = proposal.appendedMs ?? startMs
        this.counts.answered++
        proposal.completion.resolve(results[completed])
      }
      for (const proposal of this.tooLate) {
        if (pending.take(proposal.localId) !== undefined) proposal.completion.reject(tooLateError())
      }
    } catch (thrown) {
      // postApply and completions must not throw: a bug above. The commit stands, so the cursor does too.
      return report(thrown, positions[at < entries.length ? at : completed] ?? cursor, undefined)
    } finally {
      this.clear()
      this.counts.applyMs += clock.monotonicMs() - startMs
    }
    return undefined
  }

  private abort(tx: Transaction | undefined): void {
    this.parts.duplicates.aborted()
    this.clear()
    try {
      tx?.abort()
    } catch {
      // The store is closed or has failed; the database stops with the first error, which says why.
    }
  }

  private clear(): void {
    this.entries.length = 0
    this.positions.length = 0
    this.results.length = 0
    this.waiting.length = 0
    this.tooLate.length = 0
  }
}

/** What is told to the operator of a database that stops. */
export function report(thrown: unknown, position: LogPos, logged: LogEntry | undefined): StopReport {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  let stack = error.stack ?? error.message
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) stack += `\ncaused by ${cause.stack}`
  return {
    code: thrown instanceof DelosError ? thrown.code : 'STOPPED',
    message: error.message,
    position,
    ...(logged?.repairs !== undefined && {
      repairs: logged.repairs.flatMap((repair) => (repair.voided ? [] : [repair.pos])),
    }),
    entryHex: logged === undefined ? undefined : Buffer.from(logged.bytes.subarray(0, HEX_BYTES)).toString('hex'),
    stack,
  }
}

// The entry, or why this server must stop before it.
function understand(logged: LogEntry, levels: EngineLevels): Entry | DelosError {
  try {
    const entry = decodeEntry(logged.bytes)
    refuseUnknownHeaders(entry, levels)
    return entry
  } catch (thrown) {
    return DelosError.from(thrown, 'CORRUPT', `entry at position ${logged.pos}`)
  }
}

// Of entries with a payload none does: what every one of them would cost is not looked at.
function isEdit({ headers, payload }: Entry): boolean {
  return payload === undefined && headers.has(EDIT_HEADER)
}

function tooLateError(): DelosError {
  return new DelosError('TIMEOUT', 'the entry reached the log after too many later ones and was dropped everywhere')
}
