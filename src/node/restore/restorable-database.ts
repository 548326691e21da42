// What a restore has to know of a database: how entries become its content, and how a new history of it begins.

import type { Applicator } from '../../engine/engine.ts'
import type { EngineFactory, Stack } from '../../engine/stack.ts'
import { LEASE } from '../../engines/lease/lease-engine.ts'
import { readCounters } from '../../table/apply/table-counters.ts'
import { COUNTERS_RECORD } from '../../table/codec/table-keys.ts'
import { encodeNewHistory } from '../../table/codec/transaction-codec.ts'
import { TableApplicator } from '../../table/table-applicator.ts'
import { UpdateEncoder } from '../../zelos/request-codec.ts'
import { COUNTERS_KEY } from '../../zelos/tree/key-space.ts'
import { decodeCounters } from '../../zelos/tree/tree-counters.ts'
import { ZelosApplicator } from '../../zelos/zelos-applicator.ts'
import type { DatabaseName } from '../settings.ts'
import { TABLE_STACK, ZELOS_PLAYED } from '../stacks.ts'
import type { GivenNumber } from './given-out.ts'

/** What makes entries into content, and says that a new history begins. */
export interface RestorableDatabase {
  /** All that its log may need. */
  readonly engines: readonly EngineFactory[]
  /** Those of them that begin the new history only where the old one had them: not all servers do. */
  readonly optional?: ReadonlySet<string>
  /** A new one at each call. */
  makeApplicator(): { readonly applicator: Applicator<unknown>; readonly opened: (stack: Stack<unknown>) => void }
  /** How a new history of it begins: with an entry that ends what only the old history's clients could go on with. */
  readonly newHistory?: NewHistoryEntry
}

/** Its zxids, or positions of tables, go on above what may be known to somebody (given-out.ts). */
export interface NewHistoryEntry extends GivenNumber {
  /** The entry's payload: all up to `givenOut` may be. */
  encode(givenOut: number): Uint8Array
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
  newHistory: {
    key: COUNTERS_KEY,
    read: (row) => (row === undefined ? 0 : decodeCounters(row).zxid),
    encode: (givenOut) => new UpdateEncoder().encode({ kind: 'newHistory', zxidAbove: givenOut }, 0),
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
  newHistory: {
    key: COUNTERS_RECORD,
    read: (row) => readCounters({ get: () => row }).position,
    encode: encodeNewHistory,
  },
}

/** The databases of a server, by name. */
export const RESTORABLE: Readonly<Record<DatabaseName, RestorableDatabase>> = {
  zelos: RESTORABLE_ZELOS,
  table: RESTORABLE_TABLE,
}
