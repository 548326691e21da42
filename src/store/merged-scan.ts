// Scans over several write tables and a disk as if they were one ordered map: the first table that knows a key decides.
// Lazy, and safe while the topmost table is written to during the scan.

import type { Key } from '../base/key.ts'
import type { KeyRange, Row, ScanOptions } from './local-store.ts'
import type { BackendReads } from './store-backend.ts'
import type { WriteTable, Written } from './write-table.ts'

const FIRST_CHUNK_ROWS = 32
const CHUNK_ROWS_MAX = 512

/**
 * Rows of `tables` (topmost first) over `disk`, in key order. Each step looks at the tables as they are now: a key written
 * ahead of the scan is seen, one deleted ahead is not, none is seen twice. That depends on nothing but the writes, never on
 * what has reached the disk, so it is the same on every server. `check` runs before each step and throws when the scan may
 * not go on.
 */
export function* mergedScan(
  tables: readonly WriteTable[],
  disk: BackendReads,
  range: KeyRange,
  options: ScanOptions | undefined,
  check: () => void,
): Generator<Row, void, undefined> {
  const reverse = options?.reverse ?? false
  let left = options?.limit ?? Number.POSITIVE_INFINITY
  if (range.to !== undefined && range.to <= range.from) return
  const cursors = tables.map((table) => new TableCursor(table, range, reverse))
  const onDisk = new DiskCursor(disk, range, options)
  let last: Key | undefined
  while (left > 0) {
    check()
    const diskKey = onDisk.peek()
    let key = diskKey
    for (const cursor of cursors) {
      const candidate = cursor.peek(last)
      if (candidate !== undefined && (key === undefined || (reverse ? candidate > key : candidate < key)))
        key = candidate
    }
    if (key === undefined) return
    let value: Written | undefined
    for (const cursor of cursors) {
      if (cursor.current !== key) continue
      if (value === undefined) value = cursor.table.get(key)
      cursor.advance()
    }
    if (diskKey === key) {
      if (value === undefined) value = onDisk.value
      onDisk.advance()
    }
    last = key
    if (value === undefined || value === null) continue
    left--
    yield [key, value]
  }
}

/** Walks the keys of one table, and finds its place again when the table changed. */
class TableCursor {
  readonly table: WriteTable
  private readonly range: KeyRange
  private readonly reverse: boolean
  private position = { chunk: 0, at: 0 }
  private version = -1
  current: Key | undefined

  constructor(table: WriteTable, range: KeyRange, reverse: boolean) {
    this.table = table
    this.range = range
    this.reverse = reverse
  }

  /** The next key of this table after `last`, the key that the whole scan dealt with last. */
  peek(last: Key | undefined): Key | undefined {
    if (this.version !== this.table.version) this.seek(last)
    return this.current
  }

  advance(): void {
    this.position.at += this.reverse ? -1 : 1
    this.load()
  }

  private seek(last: Key | undefined): void {
    const { table, range } = this
    this.version = table.version
    if (this.reverse) {
      const end = last ?? range.to
      this.position = end === undefined ? table.seekEnd() : table.seek(end)
    } else {
      this.position = table.seek(last === undefined ? range.from : after(last))
    }
    this.load()
  }

  private load(): void {
    const { range } = this
    if (this.reverse) {
      const key = this.table.keyBefore(this.position)
      this.current = key !== undefined && key >= range.from ? key : undefined
    } else {
      const key = this.table.keyAt(this.position)
      this.current = key !== undefined && (range.to === undefined || key < range.to) ? key : undefined
    }
  }
}

/** Walks rows of the disk in chunks that grow, so that short scans read little and long ones pay few calls. */
class DiskCursor {
  private readonly disk: BackendReads
  private readonly reverse: boolean
  private from: Key
  private to: Key | undefined
  private rows: readonly (Key | Uint8Array)[] = []
  private at = 0
  private readonly keysOnly: boolean
  private chunkRows: number
  private done = false

  constructor(disk: BackendReads, range: KeyRange, options: ScanOptions | undefined) {
    this.disk = disk
    this.reverse = options?.reverse ?? false
    this.keysOnly = options?.keysOnly ?? false
    this.from = range.from
    this.to = range.to
    this.chunkRows = Math.min(FIRST_CHUNK_ROWS, options?.limit ?? FIRST_CHUNK_ROWS)
  }

  peek(): Key | undefined {
    while (this.at >= this.rows.length) {
      if (this.done) return undefined
      this.load()
    }
    return this.rows[this.at] as Key
  }

  get value(): Uint8Array {
    return this.rows[this.at + 1] as Uint8Array
  }

  advance(): void {
    this.at += 2
  }

  private load(): void {
    const chunk = this.disk.readRange(this.from, this.to, this.reverse, this.chunkRows, this.keysOnly)
    this.rows = chunk.rows
    this.done = chunk.done
    this.at = 0
    this.chunkRows = Math.min(CHUNK_ROWS_MAX, this.chunkRows * 4)
    if (chunk.rows.length === 0) return
    const last = chunk.rows[chunk.rows.length - 2] as Key
    if (this.reverse) this.to = last
    else this.from = after(last)
  }
}

/** The smallest key above `key`. */
function after(key: Key): Key {
  return `${key}\x00`
}
