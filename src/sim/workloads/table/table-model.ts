// What DelosTable promises, in memory and naively: transactions in the order of the log, each with the outcome that the state
// before it gives. Ranges are evaluated by looking at every row. Also the checker of strict serializability: reads are compared
// with the state at their place, and what was acknowledged before something began comes before it.

import { check } from '../../workload.ts'

export interface ModelRow {
  readonly group: string
  readonly id: bigint
  readonly value: bigint
  readonly tag: string | null
}

export interface Versioned {
  readonly row: ModelRow
  readonly version: number
}

/** By `keyOf`. */
export type ModelState = ReadonlyMap<string, Versioned>

export type ModelWrite =
  | { readonly op: 'insert'; readonly row: ModelRow }
  | { readonly op: 'upsert'; readonly row: ModelRow }
  | { readonly op: 'increment'; readonly key: string; readonly by: bigint; readonly version?: number }
  | { readonly op: 'delete'; readonly key: string }

/** A range: rows of a group, or rows of a value in the order of the index. What was seen: keys with versions. */
export interface ModelRange {
  readonly by: { readonly group: string } | { readonly value: bigint }
  /** Keys alone, since the index had all that was asked for: versions don't matter. */
  readonly keysOnly: boolean
  readonly seen: string
}

export interface ModelTransaction {
  readonly token: string
  readonly reads: readonly { readonly key: string; readonly version: number }[]
  readonly ranges: readonly ModelRange[]
  readonly writes: readonly ModelWrite[]
  /** Positions up to this one were acknowledged before it began. */
  readonly floor: number
  /** Of the table when its ranges were scanned. */
  readonly schema: number
}

export type ModelOutcome = 'committed' | 'conflict' | 'rejected' | 'repeated'

export const keyOf = ({ group, id }: Pick<ModelRow, 'group' | 'id'>): string => `${group}/${id}`

/** What a range shows of a state. */
export function seenIn(state: ModelState, { by, keysOnly }: Pick<ModelRange, 'by' | 'keysOnly'>): string {
  const rows = [...state.values()].filter(({ row }) =>
    'group' in by ? row.group === by.group : row.value === by.value,
  )
  rows.sort((a, b) =>
    a.row.group === b.row.group ? (a.row.id < b.row.id ? -1 : 1) : a.row.group < b.row.group ? -1 : 1,
  )
  return rows.map(({ row, version }) => (keysOnly ? `${keyOf(row)}:${row.tag}` : `${keyOf(row)}@${version}`)).join()
}

export class TableModel {
  /** By position. */
  readonly states: ModelState[] = [new Map()]
  /** Positions up to this one were acknowledged. */
  floor = 0
  private schema = 0
  private readonly transactions = new Map<string, ModelTransaction>()
  private readonly committedAt = new Map<string, number>()
  /** By place in the log. */
  private readonly outcomes = new Map<string, string>()

  begin(transaction: ModelTransaction): void {
    this.transactions.set(transaction.token, transaction)
  }

  get position(): number {
    return this.states.length - 1
  }

  /** A server has applied it at this place of the log, for the first time or again. */
  applied(place: string, token: string, outcome: ModelOutcome, position: number): void {
    const known = this.outcomes.get(place)
    const now = `${token} ${outcome} ${position}`
    if (known !== undefined) {
      check(known === now, `at ${place} was ${known}, and now ${now}`)
      return
    }
    this.outcomes.set(place, now)
    const transaction = this.transactions.get(token)
    check(transaction !== undefined, `${token} was applied and never proposed`)
    const [expected, state] = this.evaluate(transaction)
    // What an index showed says nothing once there is another index of its name: a conflict then, to be safe.
    if (outcome === 'conflict' && transaction.schema !== this.schema && transaction.ranges.length > 0) return
    check(outcome === expected, `transaction ${token} at ${place} was ${outcome} instead of ${expected}`)
    if (outcome === 'repeated') check(position === this.committedAt.get(token), `${token} was repeated at ${position}`)
    if (outcome !== 'committed') return
    check(this.committedAt.get(token) === undefined, `${token} was applied twice`)
    check(
      position > transaction.floor || state === undefined,
      `${token} is at ${position}, before what was there already`,
    )
    this.committedAt.set(token, position)
    if (state === undefined) return
    check(position === this.position + 1, `${token} is at ${position} after ${this.position}`)
    this.states.push(state)
  }

  /** A schema change was applied at this place of the log. */
  migrated(place: string, version: number): void {
    if (this.outcomes.has(place)) return
    this.outcomes.set(place, `schema ${version}`)
    this.schema = version
  }

  /** Somebody was told of it. */
  acknowledged(position: number): void {
    check(position <= this.position, `position ${position} was given out, and ${this.position} are applied`)
    if (position > this.floor) this.floor = position
  }

  /** The outcome, and the state after it; undefined if it changes nothing. */
  private evaluate(transaction: ModelTransaction): [ModelOutcome, ModelState | undefined] {
    const before = this.states[this.position] as ModelState
    if (this.committedAt.has(transaction.token)) return ['repeated', undefined]
    const isSame =
      transaction.reads.every(({ key, version }) => (before.get(key)?.version ?? 0) === version) &&
      transaction.ranges.every((range) => seenIn(before, range) === range.seen)
    if (!isSame) return ['conflict', undefined]
    const state = new Map(before)
    let changed = false
    for (const write of transaction.writes) {
      const done = applyWrite(state, write, this.position + 1)
      if (done === 'rejected') return ['rejected', undefined]
      changed ||= done
    }
    return ['committed', changed ? state : undefined]
  }
}

function applyWrite(state: Map<string, Versioned>, write: ModelWrite, version: number): boolean | 'rejected' {
  if (write.op === 'delete') return state.delete(write.key)
  if (write.op === 'increment') {
    const old = state.get(write.key)
    if (write.version !== undefined && (old?.version ?? 0) !== write.version) return 'rejected'
    if (old === undefined) return 'rejected'
    state.set(write.key, { row: { ...old.row, value: old.row.value + write.by }, version })
    return true
  }
  const key = keyOf(write.row)
  if (write.op === 'insert' && state.has(key)) return 'rejected'
  const { tag } = write.row
  // The tag is unique.
  for (const [other, { row }] of state) if (tag !== null && row.tag === tag && other !== key) return 'rejected'
  state.set(key, { row: write.row, version })
  return true
}
