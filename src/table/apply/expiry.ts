// When rows expire: a clock that ticks through the engine Time, at the same position on every server, and the rows in the order
// of the tick that ends them. Nobody's wall clock decides; a pause of all servers makes rows live longer, never shorter.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import type { Key } from '../../base/key.ts'
import type { TimerService } from '../../engine/timer-service.ts'
import type { ReadWriteTx, Row } from '../../store/local-store.ts'
import type { CompiledTable } from '../codec/compiled-table.ts'
import type { RowData } from '../codec/row-codec.ts'
import { expiredRange, expiryKey, expiryRange, rowOfExpiry, TTL_CLOCK } from '../codec/table-keys.ts'
import { ENTRY_FORMAT, ENTRY_KINDS } from '../codec/transaction-codec.ts'
import { REPLICATED_LIMITS, TTL_TICK_MS } from '../table-limits.ts'

const TIMER = 'table-ttl'
const TICK_ENTRY = Buffer.from([ENTRY_FORMAT, ENTRY_KINDS.tick])
/** Where more is due than one tick removes, the next comes soon. */
const SOON_MS = 10
const TICK_BYTES_MAX = 8 << 20
const NOTHING = new Uint8Array(0)
/** About 300 years. */
const DELAY_MS_MAX = 1e13

export class Expiry {
  private timers: TimerService | undefined

  /** When the service is switched on in mid-flight, the clock goes on from where it stood. */
  useTimers(timers: TimerService): void {
    this.timers = timers
  }

  /** In apply of the switch, which writes nothing here: a timer is armed whenever there are rows that expire. */
  switched(tx: ReadWriteTx, enabled: boolean): void {
    if (enabled && hasRows(tx)) this.arm(tx, TTL_TICK_MS)
  }

  /** The tick that ends a row which is written now; 0: it stays. `wallMs`: of the proposer, stamped into the entry. */
  tickFor(tx: ReadWriteTx, table: CompiledTable, row: RowData, wallMs: number): number {
    const { ttl } = table.descriptor
    if (ttl === undefined) return 0
    const delayMs = 'afterMs' in ttl ? ttl.afterMs : delayUntil(row[ttl.column], wallMs)
    if (delayMs === undefined) return 0
    // The first tick may come at once: with one more than needed a row never ends early.
    return readTick(tx) + Math.ceil(Math.min(delayMs, DELAY_MS_MAX) / TTL_TICK_MS) + 1
  }

  /** A row has another tick than before; 0: none. */
  moved(tx: ReadWriteTx, row: Key, before: number, after: number): void {
    if (before === after) return
    if (after !== 0) {
      if (!hasRows(tx)) this.arm(tx, TTL_TICK_MS)
      tx.put(expiryKey(after, row), NOTHING)
    }
    if (before !== 0) tx.delete(expiryKey(before, row))
  }

  /**
   * The clock ticks: `remove` is given the stored keys of rows whose time is over, and answers how many bytes that was. So many
   * rows and bytes at once; then the same tick comes again soon.
   */
  tick(tx: ReadWriteTx, remove: (row: Key) => number): void {
    const { expiredPerTick } = REPLICATED_LIMITS
    const now = readTick(tx) + 1
    const due = [...tx.scan(expiredRange(now + 1), { limit: expiredPerTick + 1, keysOnly: true })]
    let bytes = 0
    let done = 0
    while (done < due.length && done < expiredPerTick && bytes < TICK_BYTES_MAX) {
      const key = (due[done++] as Row)[0]
      tx.delete(key)
      bytes += remove(rowOfExpiry(key))
    }
    const all = done === due.length
    if (all) writeTick(tx, now)
    if (!all || hasRows(tx)) this.arm(tx, all ? TTL_TICK_MS : SOON_MS)
  }

  private arm(tx: ReadWriteTx, delayMs: number): void {
    this.timers?.arm(tx, TIMER, delayMs, TICK_ENTRY)
  }
}

function delayUntil(value: unknown, wallMs: number): number | undefined {
  if (value instanceof Date) return Math.max(0, value.getTime() - wallMs)
  if (typeof value === 'bigint') return Math.max(0, Number(value / 1000n) - wallMs)
  return undefined
}

function hasRows(tx: ReadWriteTx): boolean {
  for (const _ of tx.scan(expiryRange(), { limit: 1, keysOnly: true })) return true
  return false
}

function readTick(tx: ReadWriteTx): number {
  const bytes = tx.get(TTL_CLOCK)
  return bytes === undefined ? 0 : new ByteReader(bytes).varint()
}

function writeTick(tx: ReadWriteTx, tick: number): void {
  const writer = new ByteWriter(16)
  writer.varint(tick)
  tx.put(TTL_CLOCK, writer.toBytes())
}
