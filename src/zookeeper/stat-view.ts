// Shows a znode's record as the Stat that the wire carries, without an object per reply.

import type { ZNode } from '../zelos/znode.ts'
import type { Stat } from './codec/stat.ts'

/** One reusable instance per writer: `of` points it at a node; use the result at once. */
export class StatView implements Stat {
  private node: ZNode | undefined

  of(node: ZNode): this {
    this.node = node
    return this
  }

  private get shown(): ZNode {
    return this.node as ZNode
  }

  get czxid(): number {
    return this.shown.czxid
  }
  get mzxid(): number {
    return this.shown.mzxid
  }
  get pzxid(): number {
    return this.shown.pzxid
  }
  get ctime(): number {
    return this.shown.ctime
  }
  get mtime(): number {
    return this.shown.mtime
  }
  get version(): number {
    return this.shown.version
  }
  /** Creates and deletes of children: creates alone are stored. */
  get cversion(): number {
    return (this.shown.createdChildren * 2 - this.shown.numChildren) | 0
  }
  get aversion(): number {
    return this.shown.aversion
  }
  get ephemeralOwner(): number {
    return this.shown.ephemeralOwner
  }
  get dataLength(): number {
    return this.shown.data === null ? 0 : this.shown.data.length
  }
  get numChildren(): number {
    return this.shown.numChildren
  }
}

/** A Stat of its own, for replies that hold several. */
export function statOf(node: ZNode): Stat {
  return new StatView().of(node)
}
