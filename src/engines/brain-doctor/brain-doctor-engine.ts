// BrainDoctor: LogBackup, where present, must be below, and Batching above. Edits of the LocalStore by an operator, below the
// database and past it: a control entry with rows, applied on all servers at one position, all or nothing, audited. The entries of
// the layers above pass through untouched.
//
// Also in front of an entry that no server can apply: a repair names the position that it is for, is appended behind it, and counts
// only where the log's chain has it delivered (LogEntry.repairs). Not here: who may ask (node/), and the chain (log/).

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import { EDIT_HEADER } from '../../engine/edits.ts'
import type { Completion } from '../../engine/engine.ts'
import { type EngineContext, EngineLayer } from '../../engine/engine-layer.ts'
import { controlEntry, type Entry, type Header } from '../../engine/entry.ts'
import { encodeEntry } from '../../engine/entry-codec.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { subStorePrefix } from '../../store/sub-store.ts'
import { type AuditRecord, AuditTrail } from './audit-trail.ts'
import { decodeEditHeader, type EditRequest, encodeEditHeader, type RowEdit } from './edit-codec.ts'

export const BRAIN_DOCTOR = EDIT_HEADER

/**
 * Replicated behaviour: ranges that are edited by force only. Those of the engines below, the audit, and who holds the lease: an
 * edit of that lets others write while the holder still answers reads by itself.
 */
export const PROTECTED_RANGES = ['base', 'log-backup', BRAIN_DOCTOR, 'lease'] as const

export const EDITS_MAX = 1000
/** Keys, old and new values of one request together. */
export const EDIT_BYTES_MAX = 4 * 1024 * 1024
export const WHO_BYTES_MAX = 256
export const WHY_BYTES_MAX = 4096

/** What an edit came to, the same on all servers. */
export type EditOutcome =
  | { readonly kind: 'edited'; readonly position: LogPos }
  /** Rows that do not hold what was expected. Nothing was changed. */
  | { readonly kind: 'conflict'; readonly conflicts: readonly EditConflict[] }
  /** Nothing was changed. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Nothing was changed. */
export type Unmade = Exclude<EditOutcome, { readonly kind: 'edited' }>

export interface EditConflict {
  readonly key: Key
  readonly expected: Uint8Array | undefined
  readonly found: Uint8Array | undefined
}

export function brainDoctorEngine(): EngineFactory {
  return {
    name: BRAIN_DOCTOR,
    levelMax: 0,
    neighbours: { notBelow: ['log-backup'] },
    create: (context) => new BrainDoctorEngine(context),
  }
}

export class BrainDoctorEngine extends EngineLayer {
  override readonly writesAnywhere = true
  private readonly audit: AuditTrail
  private edits = 0

  constructor(context: EngineContext) {
    super(BRAIN_DOCTOR, context)
    this.audit = new AuditTrail(this.prefix)
  }

  /** Through the log. Rejects as proposals do, and INVALID_ARGUMENT, LIMIT_EXCEEDED for a request that is none. */
  edit(request: EditRequest): Promise<EditOutcome> {
    return new Promise((resolve, reject: (error: DelosError) => void) => {
      const wrong = wrongIn(request)
      if (wrong !== undefined) {
        reject(wrong)
        return
      }
      const completion: Completion<unknown> = { resolve: (result) => resolve(result as EditOutcome), reject }
      this.below.propose(controlEntry(BRAIN_DOCTOR, encodeEditHeader(request), true), completion)
    })
  }

  /** Why an edit would not be made with this content; undefined if it would. Nothing is proposed. Throws as `edit` rejects. */
  preview(tx: ReadTx, request: EditRequest): Unmade | undefined {
    const wrong = wrongIn(request)
    if (wrong !== undefined) throw wrong
    return this.judge(tx, request, this.flags.enabled)
  }

  /**
   * The bytes of an entry for the log of a stopped database: it is not proposed, since nothing is applied there. Only a request
   * that names the position in front of which it counts. Throws as `edit` rejects.
   */
  repairEntry(request: EditRequest): Buffer {
    const wrong = wrongIn(request)
    if (wrong !== undefined) throw wrong
    if (request.repairs === undefined) throw new DelosError('INVALID_ARGUMENT', 'a repair names its position')
    return encodeEntry(controlEntry(BRAIN_DOCTOR, encodeEditHeader(request), true))
  }

  /** The newest first. */
  history(tx: ReadTx, limit: number): AuditRecord[] {
    return this.audit.newest(tx, limit)
  }

  override details(): Readonly<Record<string, string | number | boolean>> {
    return { edits: this.edits }
  }

  // Written out, for a call site of its own: see EngineLayer.
  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(entry, completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return entry.headers.has(BRAIN_DOCTOR) ? super.apply(tx, entry, pos) : this.above.apply(tx, entry, pos)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (entry.headers.has(BRAIN_DOCTOR)) super.postApply(entry, pos, result)
    else this.above.postApply(entry, pos, result)
  }

  protected override applyEntry(tx: ReadWriteTx, _entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    assert(own !== undefined, 'an entry with a header of BrainDoctor')
    const request = decodeEditHeader(own.bytes)
    // Found where it was appended, or once more by a retry: it counts at one place.
    if (request.repairs !== undefined && request.repairs !== pos)
      return refused(`it repairs position ${request.repairs}`)
    return this.judge(tx, request, this.flagsInApply.enabled) ?? this.write(tx, request, pos)
  }

  protected override afterCommit(_entry: Entry, _pos: LogPos, result: unknown): void {
    if ((result as EditOutcome).kind === 'edited') this.edits++
  }

  /** Why nothing is changed; undefined if it is. A function of content and request. */
  private judge(tx: ReadTx, { edits, forced }: EditRequest, enabled: boolean): Unmade | undefined {
    if (!enabled) return refused(`${BRAIN_DOCTOR} is disabled`)
    const range = forced ? undefined : PROTECTED_RANGES.find((name) => edits.some(({ key }) => isIn(name, key)))
    if (range !== undefined) return refused(`the range of ${range} is edited by force only`)
    const conflicts = edits.flatMap(({ key, old }): EditConflict[] => {
      const found = tx.get(key)
      return same(found, old) ? [] : [{ key, expected: old, found }]
    })
    return conflicts.length > 0 ? { kind: 'conflict', conflicts } : undefined
  }

  private write(tx: ReadWriteTx, request: EditRequest, pos: LogPos): EditOutcome {
    for (const { key, value } of request.edits) {
      if (value === undefined) tx.delete(key)
      else tx.put(key, value)
    }
    if (!this.audit.append(tx, request, pos)) return this.takeBack(tx, request.edits)
    if (request.edits.length > 0) {
      this.context.contentEdited?.(
        tx,
        request.edits.map(({ key }) => key),
        pos,
      )
    }
    return { kind: 'edited', position: pos }
  }

  private takeBack(tx: ReadWriteTx, edits: readonly RowEdit[]): EditOutcome {
    for (const { key, old } of edits) {
      if (old === undefined) tx.delete(key)
      else tx.put(key, old)
    }
    return refused('the audit has no number left')
  }
}

function refused(reason: string): Unmade {
  return { kind: 'refused', reason }
}

function isIn(range: string, key: Key): boolean {
  return key.startsWith(subStorePrefix(range))
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

function wrongIn({ edits, repairs, voids, who, why }: EditRequest): DelosError | undefined {
  if (who === '' || why === '') return new DelosError('INVALID_ARGUMENT', 'an edit says who makes it, and why')
  if (edits.length === 0 && !voids) return new DelosError('INVALID_ARGUMENT', 'an edit without rows')
  if (voids && repairs === undefined) return new DelosError('INVALID_ARGUMENT', 'what is void has a position')
  const keys = new Set(edits.map(({ key }) => key))
  if (keys.has('')) return new DelosError('INVALID_ARGUMENT', 'a row has a key')
  if (keys.size < edits.length) return new DelosError('INVALID_ARGUMENT', 'an edit names a row twice')
  const bytes = edits.reduce(
    (sum, { key, old, value }) => sum + key.length + (old?.length ?? 0) + (value?.length ?? 0),
    0,
  )
  return (
    beyond('who, bytes', Buffer.byteLength(who), WHO_BYTES_MAX) ??
    beyond('why, bytes', Buffer.byteLength(why), WHY_BYTES_MAX) ??
    beyond('rows of an edit', edits.length, EDITS_MAX) ??
    beyond('bytes of an edit', bytes, EDIT_BYTES_MAX)
  )
}

function beyond(limit: string, value: number, max: number): DelosError | undefined {
  return value <= max ? undefined : new DelosError('LIMIT_EXCEEDED', `${limit}: ${value}, at most ${max}`)
}
