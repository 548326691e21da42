// Watches that a client sets again after a reconnect, a few at a time: it may send a hundred thousand in one request, or have missed as
// many events, and others must have their turns meanwhile. First those that stay are told what they have missed, and set together
// once nothing is left; then each of the others is compared with its node and set in one piece, so that no change falls in between.

import type { CommittedReads } from './committed-reads.ts'
import type { MissedTelling, Told } from './missed-events.ts'
import { OPEN_ACL } from './tree/acl-rules.ts'
import { parentOf } from './tree/node-path.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import type { Walk } from './tree/tree-walk.ts'
import { deliver, mayHear, type Watches } from './watches.ts'
import type { WatchSet, WatchSink } from './zelos.ts'
import type { Zxid } from './znode.ts'

export interface WatchResetParts {
  readonly reads: CommittedReads
  readonly watches: Watches
  readonly lastZxid: () => Zxid
  /** What those that stay have missed. Throws LIMIT_EXCEEDED if they are too many. */
  readonly begin: (sink: WatchSink, set: WatchSet) => MissedTelling
  /** Sets those that stay. Throws LIMIT_EXCEEDED. */
  readonly setLasting: (sink: WatchSink, set: WatchSet) => void
}

const ONCE = ['data', 'exist', 'child'] as const
type Once = (typeof ONCE)[number]

/** About 5 µs a watch. */
export class WatchReset implements Walk {
  private readonly parts: WatchResetParts
  private readonly sink: WatchSink
  private readonly set: WatchSet
  private told: MissedTelling | undefined
  /** Those that stay are set. */
  private isCaughtUp = false
  /** Since then, by watches that stay. */
  private readonly toldSince = { data: new Set<string>(), child: new Set<string>() }
  private list = 0
  private at = 0

  constructor(parts: WatchResetParts, sink: WatchSink, set: WatchSet) {
    this.parts = parts
    this.sink = sink
    this.set = set
  }

  step(_reader: unknown, rows: number): boolean {
    this.told ??= this.parts.begin(this.sink, this.set)
    if (!this.isCaughtUp && !this.catchUp(this.told, rows)) return false
    for (let left = rows; left > 0; left--) {
      while (this.at === this.set[ONCE[this.list] ?? 'data'].length) {
        this.list++
        this.at = 0
        if (this.list >= ONCE.length) return true
      }
      const kind = ONCE[this.list] as Once
      this.reset(kind, this.set[kind][this.at++] as string, this.told)
    }
    return false
  }

  private catchUp(told: MissedTelling, rows: number): boolean {
    if (!told.step(rows)) return false
    this.parts.setLasting(this.sink, this.set)
    this.isCaughtUp = true
    return true
  }

  /** The client has heard of it if one of its watches that stay does: it has taken out those that fire once. */
  changed({ type, path, acl, parentAcl = OPEN_ACL }: TreeChange): void {
    const { parts, set, sink, toldSince } = this
    const { persistent = [], recursive = [] } = set
    if (this.told === undefined || persistent.length + recursive.length === 0) return
    if (parts.watches.hearsOf(path, sink) && mayHear(sink, acl)) {
      toldSince.data.add(path)
      if (type === 'deleted') toldSince.child.add(path)
    }
    if (type === 'dataChanged') return
    const parent = parentOf(path)
    if (parts.watches.has('persistent', parent, sink) && mayHear(sink, parentAcl)) toldSince.child.add(parent)
  }

  /** It fires at once if its change was missed, unless a watch that stays has told it. */
  private reset(kind: Once, path: string, { data, child }: Told): void {
    const { sink, toldSince } = this
    if (kind === 'child' ? child.has(path) || toldSince.child.has(path) : data.has(path) || toldSince.data.has(path))
      return
    const { reads, watches, lastZxid } = this.parts
    const node = reads.node(path)
    if (node === undefined) {
      if (kind === 'exist') watches.add('data', path, sink)
      else sink.watchFired('deleted', path, lastZxid())
      return
    }
    const missed = kind === 'exist' || (kind === 'data' ? node.mzxid : node.pzxid) > this.set.relativeZxid
    if (!missed) return watches.add(kind, path, sink)
    const type = kind === 'exist' ? 'created' : kind === 'data' ? 'dataChanged' : 'childrenChanged'
    deliver(sink, type, path, reads.aclOf(node), lastZxid())
  }
}
