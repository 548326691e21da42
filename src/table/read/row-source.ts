// Where reads find rows: the committed state, or the past (snapshot-rows.ts). The same two questions either way.

import type { Key } from '../../base/key.ts'
import type { KeyRange, ReadTx, Row, ScanOptions } from '../../store/local-store.ts'
import type { TableState } from '../apply/table-state.ts'
import type { CompiledIndex } from '../codec/compiled-index.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { RangeDigest } from '../codec/range-digest.ts'
import type { StoredRow } from '../codec/stored-row.ts'

export interface RowSource {
  /** Of a scan for a transaction, up to its last key: if what it shows is not what must be so still. */
  evidence?(last: Key | undefined): RangeDigest
  readonly position: number
  /** Where a scan that was read to its end has ended before the end of its range: what is behind this key is the next page's. */
  readonly cutAt: Key | undefined
  /** Rows by their stored keys. */
  row(key: Key): StoredRow | undefined
  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[]
  /** Rows of a table, or entries of an index, in order. */
  scan(table: CompiledTable, index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row>
}

export class CommittedRows implements RowSource {
  readonly cutAt = undefined
  readonly position: number
  private readonly state: TableState
  private readonly reader: ReadTx

  constructor(state: TableState, reader: ReadTx) {
    this.state = state
    this.reader = reader
    this.position = state.position
  }

  row(key: Key): StoredRow | undefined {
    return this.state.committedRow(this.reader, key)
  }

  rows(keys: readonly Key[]): readonly (StoredRow | undefined)[] {
    return this.state.committedRows(this.reader, keys)
  }

  scan(_table: CompiledTable, _index: CompiledIndex | undefined, range: KeyRange, options: ScanOptions): Iterable<Row> {
    return this.reader.scan(range, options)
  }
}
