// What must hold over all servers of one seed, told by whoever sees something. Each promise has its checker; here they meet.

import { keyUint } from '../../../base/key.ts'
import type { Stack } from '../../../engine/stack.ts'
import { CURSOR_KEY } from '../../../engines/base-engine/cursor.ts'
import { SESSION_ORDER } from '../../../engines/session-order/session-order-engine.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { MemoryStore } from '../../../store/memory-store.ts'
import { check } from '../../workload.ts'
import { CheckingModel } from '../stack/checking-model.ts'
import { SessionChecker } from './session-checker.ts'
import type { TimedResult } from './timed-database.ts'
import { TimerChecker } from './timer-checker.ts'

export class EnginesChecks {
  /** The database: whatever the stack does, its content and results are what this model gives. */
  readonly model = new CheckingModel()
  readonly sessions = new SessionChecker()
  readonly timers = new TimerChecker()
  /** Stores that were compared. */
  compared = 0

  /** The epoch under which a proposal leaves now; undefined: SessionOrder promises nothing, or gives it one that is yet to come. */
  epochOf(stack: Stack<TimedResult>): number | undefined {
    const details = stack.layer(SESSION_ORDER)?.details()
    return details?.state === 'open' ? (details.epoch as number) : undefined
  }

  /** An operation is being applied, as of `tx`. */
  applying(id: number, stack: Stack<TimedResult>, tx: ReadTx): void {
    const layer = stack.layer(SESSION_ORDER)
    this.sessions.applying(id, (epoch) => {
      return layer?.flagsInApply.enabled === true && tx.get(`${layer.prefix}epoch\x00${keyUint(epoch)}`) !== undefined
    })
  }

  /** Stores that stand at the same cursor hold the same rows, all ranges. */
  compareEqualCursors(stores: readonly MemoryStore[]): void {
    const byCursor = new Map<string, MemoryStore>()
    for (const store of stores) {
      const cursor = Buffer.from(store.read().get(CURSOR_KEY) ?? []).toString('hex')
      const other = byCursor.get(cursor)
      if (other === undefined) byCursor.set(cursor, store)
      else {
        compare(other, store, cursor)
        this.compared++
      }
    }
  }
}

function compare(a: MemoryStore, b: MemoryStore, cursor: string): void {
  const others = b.read().scan({ from: '' })[Symbol.iterator]()
  for (const [key, value] of a.read().scan({ from: '' })) {
    const { value: other, done } = others.next()
    if (done !== true && other[0] === key && Buffer.compare(other[1], value) === 0) continue
    check(false, `at cursor ${cursor} two stores differ: ${row(key, value)}, ${done ? 'nothing' : row(...other)}`)
  }
  const rest = others.next()
  if (rest.done !== true) check(false, `at cursor ${cursor} one store has more: ${row(...rest.value)}`)
}

function row(key: string, value: Uint8Array): string {
  return `${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`
}
