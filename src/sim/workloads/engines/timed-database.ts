// The checking database with timers: an operation may arm or cancel one in its transaction, and a firing is an entry of its own.
// Works the same where the stack has no timers. Not here: what is right (the checkers).

import { ByteReader } from '../../../base/byte-reader.ts'
import { ByteWriter } from '../../../base/byte-writer.ts'
import type { Applicator } from '../../../engine/engine.ts'
import type { Entry } from '../../../engine/entry.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../../store/local-store.ts'
import { subStorePrefix } from '../../../store/sub-store.ts'
import { CheckingDatabase, decodeOperation, type Operation, type OperationResult } from '../stack/checking-database.ts'

/** What an operation does besides. */
export type TimerAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'arm'; readonly id: string; readonly delayMs: number }
  | { readonly kind: 'cancel'; readonly id: string }

/** A timer was armed, cancelled or fired, as one server applied it. */
export interface TimerEvent {
  readonly kind: 'arm' | 'cancel' | 'fire'
  readonly id: string
  /** Where it was armed. */
  readonly generation: LogPos
  readonly pos: LogPos
  /** Its place among the events of this position: a batch may hold several. */
  readonly ordinal: number
  readonly delayMs: number
  /** Members of the view at that position. */
  readonly members: number
  /** The database knows this generation as armed. */
  readonly current: boolean
}

/** One timer as it was armed once; also what its firing carries. */
export interface ArmedTimer {
  readonly id: string
  readonly generation: LogPos
}

export type TimedResult = OperationResult | TimerEvent

export interface TimedHooks {
  readonly applied: (operation: Operation, result: OperationResult, index: number, pos: LogPos) => void
  readonly timer: (event: TimerEvent) => void
  /** Called in apply: the service was switched off and with it go these. */
  readonly forgotten: (timers: readonly ArmedTimer[]) => void
  /** Called in apply, before an operation is applied. */
  readonly applying: (id: number, tx: ReadTx) => void
}

export interface TimedParts extends TimedHooks {
  readonly timers: TimerService | undefined
  /** Members as of a transaction. */
  readonly members: (tx: ReadWriteTx) => number
}

const PREFIX = subStorePrefix('timed')
const NONE = 0
const ARM = 1
const CANCEL = 2
const FIRE = 3

export function encodeTimed(operation: Uint8Array, action: TimerAction): Uint8Array {
  const writer = new ByteWriter(operation.length + 24)
  writer.u8(action.kind === 'none' ? NONE : action.kind === 'arm' ? ARM : CANCEL)
  if (action.kind !== 'none') writer.string(action.id)
  if (action.kind === 'arm') writer.varint(action.delayMs)
  writer.raw(operation)
  return writer.take()
}

export class TimedDatabase implements Applicator<TimedResult> {
  private readonly checking: CheckingDatabase
  private readonly parts: TimedParts
  private events: TimerEvent[] = []
  /** Of the newest event. */
  private notedPos: LogPos | undefined
  private notedHere = 0
  /** Of the entry whose postApply runs. */
  private pos = 0 as LogPos

  constructor(parts: TimedParts) {
    this.parts = parts
    this.checking = new CheckingDatabase((operation, result, index) =>
      parts.applied(operation, result, index, this.pos),
    )
    parts.timers?.onSwitched((tx, enabled) => {
      if (!enabled) parts.forgotten(timersIn(tx))
    })
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): TimedResult {
    const { rest, action, firing } = decode(entry)
    if (firing !== undefined) return this.fire(tx, firing, pos)
    this.parts.applying(decodeOperation(rest).id, tx)
    const result = this.checking.apply(tx, { ...entry, payload: rest }, pos)
    if (action.kind !== 'none' && this.parts.timers?.enabledInApply) this.act(tx, action, pos)
    return result
  }

  postApply(entry: Entry, pos: LogPos, result: TimedResult): void {
    this.pos = pos
    const { rest } = decode(entry)
    if ('place' in result) this.checking.postApply({ ...entry, payload: rest }, pos, result)
    const due = this.events.filter((event) => event.pos <= pos)
    this.events = this.events.filter((event) => event.pos > pos)
    for (const event of due) this.parts.timer(event)
  }

  private act(tx: ReadWriteTx, action: Exclude<TimerAction, { readonly kind: 'none' }>, pos: LogPos): void {
    const { id } = action
    const current = tx.get(PREFIX + id) !== undefined
    const delayMs = action.kind === 'arm' ? action.delayMs : 0
    if (action.kind === 'arm') {
      tx.put(PREFIX + id, positionBytes(pos))
      this.parts.timers?.arm(tx, id, delayMs, firingBytes(id, pos))
    } else {
      tx.delete(PREFIX + id)
      this.parts.timers?.cancel(tx, id)
    }
    this.note(tx, { kind: action.kind, id, generation: pos, pos, delayMs, current })
  }

  private fire(tx: ReadWriteTx, { id, generation }: ArmedTimer, pos: LogPos): TimerEvent {
    const stored = tx.get(PREFIX + id)
    const current = stored !== undefined && new ByteReader(stored).varint() === generation
    if (current) tx.delete(PREFIX + id)
    return this.note(tx, { kind: 'fire', id, generation, pos, delayMs: 0, current })
  }

  private note(tx: ReadWriteTx, event: Omit<TimerEvent, 'members' | 'ordinal'>): TimerEvent {
    const ordinal = event.pos === this.notedPos ? this.notedHere + 1 : 0
    this.notedPos = event.pos
    this.notedHere = ordinal
    const noted = { ...event, ordinal, members: this.parts.members(tx) }
    this.events.push(noted)
    return noted
  }
}

function decode(entry: Entry): { rest: Uint8Array; action: TimerAction; firing: ArmedTimer | undefined } {
  const reader = new ByteReader(entry.payload as Uint8Array)
  const kind = reader.u8()
  if (kind === FIRE) {
    const firing = { id: reader.string(), generation: reader.varint() as LogPos }
    return { rest: new Uint8Array(0), action: { kind: 'none' }, firing }
  }
  let action: TimerAction = { kind: 'none' }
  if (kind === ARM) action = { kind: 'arm', id: reader.string(), delayMs: reader.varint() }
  else if (kind === CANCEL) action = { kind: 'cancel', id: reader.string() }
  return { rest: reader.raw(reader.remaining), action, firing: undefined }
}

function firingBytes(id: string, generation: LogPos): Uint8Array {
  const writer = new ByteWriter(24)
  writer.u8(FIRE)
  writer.string(id)
  writer.varint(generation)
  return writer.take()
}

function positionBytes(pos: LogPos): Uint8Array {
  const writer = new ByteWriter(8)
  writer.varint(pos)
  return writer.take()
}

/** Timers that were armed and have not fired. */
function timersIn(tx: ReadTx): ArmedTimer[] {
  return [...tx.scan({ from: PREFIX, to: 'timed\x01' })].map(([key, value]) => ({
    id: key.slice(PREFIX.length),
    generation: new ByteReader(value).varint() as LogPos,
  }))
}
