// A small database for tests of engines: notes which proposals were applied, how often and in which order.

import { packTuple, unpackTuple } from '../../src/base/key.ts'
import { attempt } from '../../src/engine/attempt.ts'
import type { Applicator } from '../../src/engine/engine.ts'
import type { Entry } from '../../src/engine/entry.ts'
import type { LogPos } from '../../src/log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../src/store/local-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../../src/store/sub-store.ts'

const PREFIX = subStorePrefix('ledger')
const COUNT_KEY = `${PREFIX}count`

/** Place of the proposal among all that were ever applied, from 1; `rejected` if its text starts with '!'. */
export type LedgerResult = number | 'rejected'

/** Throws in apply for a text that starts with '?': a bug of the database. */
export class Ledger implements Applicator<LedgerResult> {
  /** Texts in the order of postApply, since this instance was made, with position, index and result. */
  readonly seen: {
    readonly text: string
    readonly pos: LogPos
    readonly index: number
    readonly result: LedgerResult
  }[] = []

  apply(tx: ReadWriteTx, entry: Entry, _pos: LogPos): LedgerResult {
    const text = Buffer.from(entry.payload as Uint8Array).toString('utf8')
    if (text.startsWith('?')) throw new Error(`the ledger can't apply ${text}`)
    const place = counted(tx) + 1
    // What must stay after a rejection is written before the attempt.
    tx.put(COUNT_KEY, Buffer.from(String(place)))
    return attempt<LedgerResult>(
      tx,
      () => {
        tx.put(PREFIX + packTuple(place, text), Buffer.alloc(0))
        return text.startsWith('!') ? 'rejected' : place
      },
      (result) => result === 'rejected',
    )
  }

  postApply(entry: Entry, pos: LogPos, result: LedgerResult): void {
    this.seen.push({ text: Buffer.from(entry.payload as Uint8Array).toString('utf8'), pos, index: entry.index, result })
  }
}

/** The texts that a store holds, in order of application. */
export function ledgerTexts(tx: ReadTx): string[] {
  const texts: string[] = []
  for (const [key] of tx.scan(rangeOfPrefix(PREFIX))) {
    if (key !== COUNT_KEY) texts.push(unpackTuple(key, PREFIX.length)[1] as string)
  }
  return texts
}

/** Everything that a store holds, as text, in order of keys. */
export function contentOf(tx: ReadTx): string[] {
  return [...tx.scan({ from: '' })].map(
    ([key, value]) => `${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`,
  )
}

function counted(tx: ReadTx): number {
  const stored = tx.get(COUNT_KEY)
  return stored === undefined ? 0 : Number(Buffer.from(stored).toString())
}
