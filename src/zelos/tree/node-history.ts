// What the nodes that the last transaction changed were before each of its updates, so that a read which stands between two
// of them can be answered after both were applied. Gone with the next transaction.

import type { ZNode, Zxid } from '../znode.ts'
import { nameOf, parentOf } from './node-path.ts'

/** Notes are made in apply, in order; each is true also if its update is taken back, since then nothing has changed. */
export class NodeHistory {
  private readonly zxids: Zxid[] = []
  private readonly paths: string[] = []
  private readonly befores: (ZNode | null)[] = []
  /** Indexes of a path's notes; made by the first question. */
  private byPath: Map<string, number[]> | undefined

  /** The update `zxid` is about to change a node, which is `before` now; null = it is not there. */
  note(zxid: Zxid, path: string, before: ZNode | null): void {
    this.zxids.push(zxid)
    this.paths.push(path)
    this.befores.push(before)
  }

  clear(): void {
    this.zxids.length = 0
    this.paths.length = 0
    this.befores.length = 0
    this.byPath = undefined
  }

  /** The node as the update `zxid` left it; null = it was not there; undefined = it is as it was. */
  asOf(zxid: Zxid, path: string): ZNode | null | undefined {
    if (this.nothingAfter(zxid)) return undefined
    this.byPath ??= indexOf(this.paths)
    const first = this.byPath.get(path)?.find((at) => (this.zxids[at] as Zxid) > zxid)
    return first === undefined ? undefined : (this.befores[first] as ZNode | null)
  }

  /** The children that came (false: it was not there) or went (true: it was) after the update `zxid`, by name. */
  childrenAsOf(zxid: Zxid, parent: string): ReadonlyMap<string, boolean> {
    const wereThere = new Map<string, boolean>()
    for (let at = 0; at < this.zxids.length; at++) {
      const path = this.paths[at] as string
      if ((this.zxids[at] as Zxid) <= zxid || path === '/' || parentOf(path) !== parent) continue
      const name = nameOf(path)
      if (!wereThere.has(name)) wereThere.set(name, this.befores[at] !== null)
    }
    return wereThere
  }

  private nothingAfter(zxid: Zxid): boolean {
    const { length } = this.zxids
    return length === 0 || (this.zxids[length - 1] as Zxid) <= zxid
  }
}

function indexOf(paths: readonly string[]): Map<string, number[]> {
  const index = new Map<string, number[]>()
  for (const [at, path] of paths.entries()) {
    const known = index.get(path)
    if (known === undefined) index.set(path, [at])
    else known.push(at)
  }
  return index
}
