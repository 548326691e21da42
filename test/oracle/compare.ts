// What both servers showed in a step, field by field. Zxids, times and session ids are each server's own: they must correspond
// one to one and in the same order over the whole run. Not responsible for: what may differ (allowed.ts).

import { type AllowedDifference, allowedBy, type Difference } from './allowed.ts'
import type { Seen, SeenBySlot } from './side.ts'
import type { Request } from './steps.ts'

export interface SlotDifference extends Difference {
  readonly slot: number
  readonly index: number
}

const ZXID_FIELDS: ReadonlySet<string> = new Set(['czxid', 'mzxid', 'pzxid'])
const TIME_FIELDS: ReadonlySet<string> = new Set(['ctime', 'mtime'])
const SESSION_FIELDS: ReadonlySet<string> = new Set(['ephemeralOwner', 'sessionId'])

/** Between the clocks of a step on two servers of one machine. */
const CLOCK_MS = 10_000

/** A correspondence of numbers that both servers must keep: one to one, and in the same order if `isOrdered`. */
class Correspondence {
  private readonly ours = new Map<bigint, bigint>()
  private readonly references = new Map<bigint, bigint>()
  private readonly sorted: bigint[] = []
  private readonly isOrdered: boolean

  constructor(isOrdered: boolean) {
    this.isOrdered = isOrdered
  }

  agrees(reference: bigint, ours: bigint): boolean {
    if (reference === 0n || ours === 0n) return reference === ours
    const known = this.ours.get(reference)
    if (known !== undefined || this.references.has(ours)) return known === ours
    this.ours.set(reference, ours)
    this.references.set(ours, reference)
    return !this.isOrdered || this.insert(reference, ours)
  }

  private insert(reference: bigint, ours: bigint): boolean {
    let at = this.sorted.length
    while (at > 0 && (this.sorted[at - 1] as bigint) > reference) at--
    this.sorted.splice(at, 0, reference)
    const [before, after] = [this.sorted[at - 1], this.sorted[at + 1]]
    const isAfter = before === undefined || (this.ours.get(before) as bigint) < ours
    const isBefore = after === undefined || (this.ours.get(after) as bigint) > ours
    return isAfter && isBefore
  }
}

/** How many requests a step had in flight: one, several of one connection, or ends of sessions in any order. */
export type Order = 'alone' | 'pipelined' | 'any'

export class Comparer {
  /** How often each allowed difference was met. */
  private readonly allowed: Map<AllowedDifference, number>
  private readonly zxids = new Correspondence(true)
  private readonly sessions = new Correspondence(false)
  /** The greatest zxid that ours has told a connection: it never goes back. */
  private readonly ourZxids = new Map<number, bigint>()

  /** An allowed difference has left the servers in different states: what follows can't be compared. */
  hasDiverged = false
  private ops: ReadonlySet<string> = new Set()

  constructor(allowed: Map<AllowedDifference, number>) {
    this.allowed = allowed
  }

  compare(reference: SeenBySlot, ours: SeenBySlot, order: Order, ops: ReadonlySet<string>): SlotDifference[] {
    this.ops = ops
    const found: SlotDifference[] = []
    const slots = [...new Set([...reference.keys(), ...ours.keys()])].sort((a, b) => a - b)
    for (const slot of slots) {
      const theirs = reference.get(slot) ?? []
      const own = this.withoutReplay(slot, theirs, ours.get(slot) ?? [], found)
      if (order === 'alone') this.compareList(slot, theirs, own, found)
      else if (order === 'any') this.compareList(slot, inOrder(theirs), inOrder(own), found)
      else this.comparePipelined(slot, theirs, own, found)
    }
    return found
  }

  /** Without the events that only a server tells which remembers what persistent watches have missed. */
  private withoutReplay(
    slot: number,
    reference: readonly Seen[],
    ours: readonly Seen[],
    found: SlotDifference[],
  ): readonly Seen[] {
    const end = ours.findIndex((seen) => seen.kind === 'reply' && isComeback(seen.request))
    if (end < 0) return ours
    const left = reference.filter((seen) => seen.kind === 'event').map(nameOf)
    return ours.filter((seen, index) => {
      if (index > end || seen.kind !== 'event') return true
      if (left[0] === nameOf(seen)) return left.shift() !== undefined
      this.note(
        {
          slot,
          index,
          path: 'replayed',
          reference: undefined,
          ours: seen.path,
          seen: { reference: undefined, ours: seen },
        },
        found,
      )
      return false
    })
  }

  /**
   * An event never comes later among the replies than ZooKeeper's. It may come earlier, among those of requests before the change: they
   * wait for their turn, it does not.
   */
  private comparePipelined(
    slot: number,
    reference: readonly Seen[],
    ours: readonly Seen[],
    found: SlotDifference[],
  ): void {
    const [theirs, own] = [split(reference), split(ours)]
    this.compareList(slot, theirs.others, own.others, found)
    this.compareList(slot, theirs.events, own.events, found)
    for (const [index, seen] of own.events.entries()) {
      const [before, ourBefore] = [theirs.repliesBefore[index] ?? 0, own.repliesBefore[index] ?? 0]
      const difference = { slot, index, path: 'replies before it', reference: before, ours: ourBefore }
      if (ourBefore > before) this.note({ ...difference, seen: { reference: theirs.events[index], ours: seen } }, found)
    }
  }

  private compareList(slot: number, reference: readonly Seen[], ours: readonly Seen[], found: SlotDifference[]): void {
    for (let index = 0; index < Math.max(reference.length, ours.length); index++) {
      const seen = { reference: reference[index], ours: ours[index] }
      for (const [path, theirs, own] of this.differences(slot, seen.reference, seen.ours)) {
        this.note({ slot, index, path, reference: theirs, ours: own, seen }, found)
      }
      // What comes behind is only shifted.
      if (seen.reference?.kind !== seen.ours?.kind) return
    }
  }

  private note(place: Omit<SlotDifference, 'ops'>, found: SlotDifference[]): void {
    const difference = { ...place, ops: this.ops }
    const line = allowedBy(difference)
    if (line === undefined) {
      found.push(difference)
      return
    }
    this.allowed.set(line, (this.allowed.get(line) ?? 0) + 1)
    if (line.diverges?.(difference) === true) this.hasDiverged = true
  }

  private *differences(
    slot: number,
    reference: Seen | undefined,
    ours: Seen | undefined,
  ): Iterable<[string, unknown, unknown]> {
    if (reference === undefined || ours === undefined || reference.kind !== ours.kind) {
      yield ['kind', reference?.kind, ours?.kind]
      return
    }
    if (reference.kind === 'session' && ours.kind === 'session') yield* this.fields('', reference.fields, ours.fields)
    if (reference.kind === 'event' && ours.kind === 'event') yield* this.event(reference, ours)
    if (reference.kind === 'reply' && ours.kind === 'reply') yield* this.reply(slot, reference, ours)
  }

  private *event(
    reference: Seen & { kind: 'event' },
    ours: Seen & { kind: 'event' },
  ): Iterable<[string, unknown, unknown]> {
    for (const name of ['type', 'state', 'path'] as const) {
      if (reference[name] !== ours[name]) yield [name, reference[name], ours[name]]
    }
    if (reference.zxid !== -1n || ours.zxid <= 0n) yield ['zxid', reference.zxid, ours.zxid]
  }

  private *reply(
    slot: number,
    reference: Seen & { kind: 'reply' },
    ours: Seen & { kind: 'reply' },
  ): Iterable<[string, unknown, unknown]> {
    if (reference.xid !== ours.xid) yield ['xid', reference.xid, ours.xid]
    if (reference.err !== ours.err) yield ['err', reference.err, ours.err]
    yield* this.headerZxid(slot, ours)
    yield* this.fields('', reference.fields, ours.fields)
  }

  /** Of a header only the order is promised: it is the last zxid that the server has applied. */
  private *headerZxid(slot: number, ours: Seen & { kind: 'reply' }): Iterable<[string, unknown, unknown]> {
    const last = this.ourZxids.get(slot) ?? 0n
    if (ours.zxid < last && ours.zxid !== 0n) yield ['zxid goes back', last, ours.zxid]
    else if (ours.zxid > last) this.ourZxids.set(slot, ours.zxid)
    // Other entries may be applied at the same moment (a session that ends): the change itself is found in the nodes' own zxids.
  }

  private *fields(path: string, reference: unknown, ours: unknown, name = ''): Iterable<[string, unknown, unknown]> {
    if (isRecord(reference) && isRecord(ours)) {
      for (const key of new Set([...Object.keys(reference), ...Object.keys(ours)])) {
        yield* this.fields(path === '' ? key : `${path}.${key}`, reference[key], ours[key], key)
      }
    } else if (!this.isSame(name, reference, ours)) yield [path, reference, ours]
  }

  private isSame(name: string, reference: unknown, ours: unknown): boolean {
    if (typeof reference !== 'bigint' || typeof ours !== 'bigint') return reference === ours
    if (ZXID_FIELDS.has(name)) return this.zxids.agrees(reference, ours)
    if (SESSION_FIELDS.has(name)) return this.sessions.agrees(reference, ours)
    if (!TIME_FIELDS.has(name)) return reference === ours
    if (reference === 0n || ours === 0n) return reference === ours
    return Math.abs(Number(reference - ours)) < CLOCK_MS
  }
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null
}

function isComeback(request: Request): boolean {
  return request.op === 'setWatches2' && request.persistent.length + request.recursive.length > 0
}

function nameOf(seen: Seen): string {
  return seen.kind === 'event' ? `${seen.type} ${seen.path}` : seen.kind
}

interface Split {
  readonly events: readonly Seen[]
  readonly others: readonly Seen[]
  /** How many of the others came before each event. */
  readonly repliesBefore: readonly number[]
}

function split(seen: readonly Seen[]): Split {
  const repliesBefore: number[] = []
  let replies = 0
  for (const one of seen) {
    if (one.kind === 'event') repliesBefore.push(replies)
    else replies++
  }
  const events = seen.filter((one) => one.kind === 'event')
  return { events, others: seen.filter((one) => one.kind !== 'event'), repliesBefore }
}

/** Sessions that expire together do so in any order. */
function inOrder(seen: readonly Seen[]): Seen[] {
  const key = (one: Seen): string => (one.kind === 'event' ? `${one.path} ${one.type}` : '')
  return [...seen].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
}
