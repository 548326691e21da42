// What DelosTable promises, in memory and naively: transactions in the order of the log, each with the outcome that the state
// before it gives. Ranges are evaluated by looking at every row. The checker of histories itself is serial-history.ts.

import { type Proposed, SerialHistory, type Verdict } from './serial-history.ts'

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

export interface ModelTransaction extends Proposed {
  readonly reads: readonly { readonly key: string; readonly version: number }[]
  readonly ranges: readonly ModelRange[]
  readonly writes: readonly ModelWrite[]
  /** Of the table when its ranges were scanned. */
  readonly schema: number
}

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

export class TableModel extends SerialHistory<ModelState, ModelTransaction> {
  private schema = 0

  constructor() {
    super(new Map())
  }

  /** A schema change was applied at this place of the log. */
  migrated(place: string, version: number): void {
    if (this.isFirst(place, `schema ${version}`)) this.schema = version
  }

  // What was read says nothing once the table has another schema: a conflict then, to be safe.
  protected override mayBe(outcome: string, { ranges, reads, schema }: ModelTransaction): boolean {
    return outcome === 'conflict' && schema !== this.schema && reads.length + ranges.length > 0
  }

  protected evaluate(transaction: ModelTransaction, before: ModelState): Verdict<ModelState> {
    const isSame =
      transaction.reads.every(({ key, version }) => (before.get(key)?.version ?? 0) === version) &&
      transaction.ranges.every((range) => seenIn(before, range) === range.seen)
    if (!isSame) return { outcome: 'conflict', state: undefined }
    const state = new Map(before)
    let changed = false
    for (const write of transaction.writes) {
      const done = applyWrite(state, write, this.position + 1)
      if (done === 'rejected') return { outcome: 'rejected', state: undefined }
      changed ||= done
    }
    return { outcome: 'committed', state: changed ? state : undefined }
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
