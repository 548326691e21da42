// What a restore has to know of a database: how entries become its content, and how a new history of it begins.

import type { Applicator } from '../../engine/engine.ts'
import type { EngineFactory, Stack } from '../../engine/stack.ts'
import { LEASE } from '../../engines/lease/lease-engine.ts'
import type { LocalStore } from '../../store/local-store.ts'
import { encodeNewHistory } from '../../table/codec/transaction-codec.ts'
import { TableApplicator } from '../../table/table-applicator.ts'
import { UpdateEncoder } from '../../zelos/request-codec.ts'
import { ZelosApplicator } from '../../zelos/zelos-applicator.ts'
import type { DatabaseName } from '../settings.ts'
import { TABLE_STACK, ZELOS_PLAYED } from '../stacks.ts'

/** What makes entries into content, and says that a new history begins. */
export interface RestorableDatabase {
  /** All that its log may need. */
  readonly engines: readonly EngineFactory[]
  /** Those of them that begin the new history only where the old one had them: not all servers do. */
  readonly optional?: ReadonlySet<string>
  /** A new one at each call. */
  makeApplicator(): { readonly applicator: Applicator<unknown>; readonly opened: (stack: Stack<unknown>) => void }
  /**
   * The payload of an entry that ends what only the old history's clients could go on with. `givenOut`: so many zxids, or positions of
   * tables, behind the restored one may be known to somebody (given-out.ts).
   */
  newHistory?(store: LocalStore, givenOut: number): Uint8Array
}

export const RESTORABLE_ZELOS: RestorableDatabase = {
  engines: ZELOS_PLAYED,
  optional: new Set([LEASE]),
  makeApplicator: () => {
    const applicator = new ZelosApplicator()
    const opened = ({ timerService }: Stack<unknown>): void => {
      if (timerService !== undefined) applicator.useTimers(timerService)
    }
    return { applicator: applicator as Applicator<unknown>, opened }
  },
  newHistory: (store, givenOut) => {
    const { zxid } = new ZelosApplicator().counters(store.read())
    return new UpdateEncoder().encode({ kind: 'newHistory', zxidAbove: zxid + givenOut }, 0)
  },
}

export const RESTORABLE_TABLE: RestorableDatabase = {
  engines: TABLE_STACK,
  makeApplicator: () => {
    const applicator = new TableApplicator()
    const opened = ({ timerService }: Stack<unknown>): void => {
      if (timerService !== undefined) applicator.useTimers(timerService)
    }
    return { applicator: applicator as Applicator<unknown>, opened }
  },
  newHistory: (store, givenOut) => {
    const applicator = new TableApplicator()
    applicator.load(store.read())
    return encodeNewHistory(applicator.state.position + givenOut)
  },
}

/** The databases of a server, by name. */
export const RESTORABLE: Readonly<Record<DatabaseName, RestorableDatabase>> = {
  zelos: RESTORABLE_ZELOS,
  table: RESTORABLE_TABLE,
}
