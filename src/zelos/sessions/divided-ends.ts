// How a session ends that has more ephemeral nodes than one update may remove: no longer its client's from the first piece on, and over
// with the last. Only which pieces there are; what is removed with a node is tree-updates.ts', who may still write session-records.ts'.
//
// Record of `g session`, while it goes on: u8 format = 1. Of `g 0` the same, from when sessions end in pieces: before, and at servers
// of older builds, every end removes all at once.

import type { ReadTx } from '../../store/local-store.ts'
import type { Update } from '../requests.ts'
import type { ApplyState } from '../tree/apply-state.ts'
import { endingKey, endingOfKey, endingRange } from '../tree/key-space.ts'
import type { NodeTree } from '../tree/node-tree.ts'
import type { SessionId } from '../znode.ts'

const FORMAT = 1
const NO_SESSION: SessionId = 0

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

  constructor(state: ApplyState, tree: NodeTree) {
    this.state = state
    this.tree = tree
  }

  /** From here on, no update removes more than a piece. */
  enable(): void {
    this.state.tx.put(endingKey(NO_SESSION), Buffer.of(FORMAT))
  }

  /** The first of the nodes that a session still has. In apply. */
  nextPiece(id: SessionId): EndPiece {
    const { state, tree } = this
    const { tx } = state
    const paths = tree.ephemerals(tx, id, PIECE_NODES + 1)
    if (paths.length <= PIECE_NODES) return { paths, isLast: true }
    if (tx.get(endingKey(NO_SESSION)) === undefined) return { paths: tree.ephemerals(tx, id), isLast: true }
    return { paths: paths.slice(0, PIECE_NODES), isLast: false }
  }

  /** There are further pieces: a server proposes them. */
  begun(id: SessionId): void {
    this.state.tx.put(endingKey(id), Buffer.of(FORMAT))
  }

  over(id: SessionId): void {
    this.state.tx.delete(endingKey(id))
  }

  /** What a server should propose. `ephemerals`: how many there are of all sessions. */
  chore(reader: ReadTx, ephemerals: number): Update | undefined {
    for (const [key] of reader.scan(endingRange(), { limit: 1, keysOnly: true })) {
      return { kind: 'endSession', session: endingOfKey(key) }
    }
    const isNeeded = ephemerals > PIECE_NODES && reader.get(endingKey(NO_SESSION)) === undefined
    return isNeeded ? { kind: 'endSession', session: NO_SESSION } : undefined
  }
}
