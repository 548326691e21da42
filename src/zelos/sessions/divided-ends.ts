// How a session ends that has more ephemeral nodes than one update may remove: no longer its client's from the first piece on, and over
// with the last. Only which pieces there are; what is removed with a node is tree-updates.ts', who may still write session-records.ts'.
//
// Record of `g session`, while it goes on: u8 format = 1.

import type { ReadTx } from '../../store/local-store.ts'
import type { Update } from '../requests.ts'
import type { ApplyState } from '../tree/apply-state.ts'
import { endingKey, endingOfKey, endingRange } from '../tree/key-space.ts'
import type { NodeTree } from '../tree/node-tree.ts'
import type { SessionId } from '../znode.ts'

const FORMAT = 1

/** Nodes of one piece: some 15 to 30 ms. Replicated behaviour. */
export const PIECE_NODES = 2_000

export interface EndPiece {
  /** Nodes to be removed now, in the order of their paths. */
  readonly paths: readonly string[]
  readonly isLast: boolean
}

export class DividedEnds {
  private readonly state: ApplyState
  private readonly tree: NodeTree
  private readonly isDivided: () => boolean

  /** `isDivided`: all servers know of pieces, as of the update that is applied; before, every end removes all at once. */
  constructor(state: ApplyState, tree: NodeTree, isDivided: () => boolean) {
    this.state = state
    this.tree = tree
    this.isDivided = isDivided
  }

  /** The first of the nodes that a session still has. In apply. */
  nextPiece(id: SessionId): EndPiece {
    const { state, tree } = this
    const { tx } = state
    const paths = tree.ephemerals(tx, id, PIECE_NODES + 1)
    if (paths.length <= PIECE_NODES) return { paths, isLast: true }
    if (!this.isDivided()) return { paths: tree.ephemerals(tx, id), isLast: true }
    return { paths: paths.slice(0, PIECE_NODES), isLast: false }
  }

  /** There are further pieces: a server proposes them. */
  begun(id: SessionId): void {
    this.state.tx.put(endingKey(id), Buffer.of(FORMAT))
  }

  over(id: SessionId): void {
    this.state.tx.delete(endingKey(id))
  }

  /** What a server should propose. */
  chore(reader: ReadTx): Update | undefined {
    for (const [key] of reader.scan(endingRange(), { limit: 1, keysOnly: true })) {
      return { kind: 'endSession', session: endingOfKey(key) }
    }
    return undefined
  }
}
