// A database that keeps counters, with two bugs: a request that no server can apply, and one that spoils a row so that every later
// request for it can't be applied. Keeps what it has read in memory, as databases do.

import type { Key } from '../../../base/key.ts'
import type { Applicator } from '../../../engine/engine.ts'
import type { Entry } from '../../../engine/entry.ts'
import type { ReadTx, ReadWriteTx } from '../../../store/local-store.ts'
import { subStorePrefix } from '../../../store/sub-store.ts'

export type FragileRequest =
  | { readonly kind: 'add'; readonly counter: string; readonly id: number }
  | { readonly kind: 'spoil'; readonly counter: string }
  | { readonly kind: 'bug' }

const PREFIX = subStorePrefix('fragile')

export function encodeFragile(request: FragileRequest): Uint8Array {
  return Buffer.from(JSON.stringify(request))
}

export function decodeFragile(payload: Uint8Array): FragileRequest {
  return JSON.parse(Buffer.from(payload).toString())
}

/** The row of a counter, in decimal digits. */
export function counterKey(counter: string): Key {
  return `${PREFIX}n${counter}`
}

/** The row that says that the request `id` was applied. */
export function requestKey(id: number): Key {
  return `${PREFIX}r${id}`
}

export function counterIn(tx: ReadTx, counter: string): number {
  const row = tx.get(counterKey(counter))
  return row === undefined ? 0 : Number(Buffer.from(row).toString())
}

/** Answers what the counter came to. */
export class FragileDatabase implements Applicator<number> {
  private readonly known = new Map<string, number>()

  apply(tx: ReadWriteTx, entry: Entry): number {
    const request = decodeFragile(entry.payload as Uint8Array)
    if (request.kind === 'bug') throw new Error('this request is a bug')
    const { counter } = request
    if (request.kind === 'spoil') {
      tx.put(counterKey(counter), Buffer.from('spoilt'))
      this.known.delete(counter)
      return 0
    }
    const value = (this.known.get(counter) ?? counterIn(tx, counter)) + 1
    if (Number.isNaN(value)) throw new Error(`counter ${counter} is no number`)
    this.known.set(counter, value)
    tx.put(counterKey(counter), Buffer.from(String(value)))
    tx.put(requestKey(request.id), Buffer.alloc(0))
    return value
  }

  postApply(): void {
    // Nobody is told anything.
  }

  edited(_tx: ReadTx, keys: readonly Key[]): void {
    if (keys.some((key) => key.startsWith(PREFIX))) this.known.clear()
  }
}
