// What a restore has to know of a database: how entries become its content, and how a new history of it begins.

import type { Applicator } from '../../engine/engine.ts'
import type { EngineFactory, Stack } from '../../engine/stack.ts'
import type { LocalStore } from '../../store/local-store.ts'
import { UpdateEncoder } from '../../zelos/request-codec.ts'
import { ZelosApplicator } from '../../zelos/zelos-applicator.ts'
import { ZELOS_STACK } from '../stacks.ts'

/** What makes entries into content, and says that a new history begins. */
export interface RestorableDatabase {
  readonly engines: readonly EngineFactory[]
  /** A new one at each call. */
  makeApplicator(): { readonly applicator: Applicator<unknown>; readonly opened: (stack: Stack<unknown>) => void }
  /** The payload of an entry that ends what only the old history's clients could go on with. `lostBytes`: of its log, behind the restored position. */
  newHistory?(store: LocalStore, lostBytes: number): Uint8Array
}

/** How far zxids of the new history are at least above those of the old one. */
const ZXID_STEP = 2 ** 32
/** Past it they would run out. */
const LOST_BYTES_MAX = 2 ** 50

export const RESTORABLE_ZELOS: RestorableDatabase = {
  engines: ZELOS_STACK,
  makeApplicator: () => {
    const applicator = new ZelosApplicator()
    const opened = ({ timerService }: Stack<unknown>): void => {
      if (timerService !== undefined) applicator.useTimers(timerService)
    }
    return { applicator: applicator as Applicator<unknown>, opened }
  },
  newHistory: (store, lostBytes) => {
    // Every update that was in the lost part of the log took one, and no update is shorter than a byte.
    const { zxid } = new ZelosApplicator().counters(store.read())
    return new UpdateEncoder().encode(
      { kind: 'newHistory', zxidAbove: zxid + Math.min(lostBytes, LOST_BYTES_MAX) + ZXID_STEP },
      0,
    )
  },
}
