// ZooKeeper's quotas: limits of the nodes and bytes below a path, kept in nodes below /zookeeper/quota. The nodes themselves are
// all the state there is, so that it follows any transaction; without quotas this costs one look at /zookeeper/quota an update.

import { ZCODE, type ZCode, type ZNode } from '../znode.ts'
import type { ApplyState } from './apply-state.ts'
import { snapshotOf } from './cached-node.ts'
import { childOf, isStatsOfQuota, parentOf, QUOTA_NODE, QUOTA_STATS, ROOT } from './node-path.ts'
import type { NodeTree } from './node-tree.ts'
import { beginCounting, countPiece, endCounting, isCounted } from './quota-counting.ts'
import { type ExceededLimit, exceededLimits, parseQuota, quotaStats } from './quota-limits.ts'

const LIMITS = 'zookeeper_limits'

/** Told to operators: an update went beyond a limit, and was refused or not. */
export interface QuotaNotice extends ExceededLimit {
  /** Whose quota it is. */
  readonly path: string
  readonly refused: boolean
}

export class Quotas {
  private readonly state: ApplyState
  private readonly tree: NodeTree
  private notices: QuotaNotice[] = []

  constructor(state: ApplyState, tree: NodeTree) {
    this.state = state
    this.tree = tree
    state.onBegin(() => {
      this.notices = []
    })
  }

  /** What the last transaction exceeded. */
  takeNotices(): readonly QuotaNotice[] {
    const taken = this.notices
    if (taken.length > 0) this.notices = []
    return taken
  }

  /** The node below /zookeeper/quota whose limits hold for `path`: those of its nearest ancestor, itself included, but the root. */
  of(path: string): string | undefined {
    const { tree } = this
    const { tx } = this.state
    let at: string = QUOTA_NODE
    let node = tree.node(tx, at)
    if (node === undefined || node.numChildren === 0 || path === ROOT) return undefined
    let nearest: string | undefined
    for (const name of path.slice(1).split('/')) {
      const next = childOf(at, name)
      if (!tree.hasChild(at, node, next)) break
      node = tree.node(tx, next) as ZNode
      at = next
      if (tree.hasChild(at, node, childOf(at, LIMITS))) nearest = at
    }
    return nearest
  }

  /** Before a change under this quota: QUOTA_EXCEEDED if a hard limit forbids it and such limits are enforced. */
  check(quota: string, countDiff: number, bytesDiff: number, enforced: boolean): ZCode {
    const { tx } = this.state
    const limits = parseQuota(this.tree.node(tx, childOf(quota, LIMITS))?.data ?? null)
    const stats = this.tree.node(tx, childOf(quota, QUOTA_STATS))
    if (stats === undefined) return ZCODE.OK
    const exceeded = exceededLimits(limits, parseQuota(stats.data), countDiff, bytesDiff)
    const refused = enforced && exceeded.some(({ isHard }) => isHard)
    for (const one of exceeded) this.notices.push({ ...one, path: ownerOf(quota), refused: refused && one.isHard })
    return refused ? ZCODE.QUOTA_EXCEEDED : ZCODE.OK
  }

  /** After a create: is it one that starts to count? `inPieces`: if there is much to count, not at once. */
  created(path: string, inPieces: boolean): void {
    if (isStatsOfQuota(path)) this.countAnew(path, inPieces)
  }

  /** After a delete. */
  removed(path: string): void {
    if (isStatsOfQuota(path)) endCounting(this.state.tx, parentOf(path))
  }

  /** Goes on with a count that is not at its end; otherwise nothing. */
  countOn(quota: string): void {
    const { tx } = this.state
    const stats = this.tree.node(tx, childOf(quota, QUOTA_STATS))
    const piece = countPiece(tx, quota, ownerOf(quota))
    if (piece !== undefined && stats !== undefined) this.add(quota, stats, piece.nodes, piece.bytes)
  }

  /** After a change of this path under this quota. Its numbers change without a version, an event or a zxid. */
  changed(quota: string, path: string, countDiff: number, bytesDiff: number): void {
    const stats = this.tree.node(this.state.tx, childOf(quota, QUOTA_STATS))
    if (stats === undefined || !isCounted(this.state.tx, quota, path)) return
    this.add(quota, stats, countDiff, bytesDiff)
  }

  private add(quota: string, stats: ZNode, countDiff: number, bytesDiff: number): void {
    const statsPath = childOf(quota, QUOTA_STATS)
    const { count, bytes } = parseQuota(stats.data)
    this.write(statsPath, stats, count + countDiff, bytes + bytesDiff)
  }

  private write(path: string, stats: ZNode, count: number, bytes: number): void {
    this.tree.replaceData(path, stats, { ...snapshotOf(stats), data: quotaStats(count, bytes) })
  }

  /** A quota begins. Some 2 µs a node, in apply, as in ZooKeeper; in pieces the rest is left to `countOn`. */
  private countAnew(statsPath: string, inPieces: boolean): void {
    const { tx } = this.state
    const quota = parentOf(statsPath)
    const top = ownerOf(quota)
    const node = top === '' ? undefined : this.tree.node(tx, top)
    const stats = this.tree.node(tx, statsPath) as ZNode
    const hasMore = node !== undefined && node.numChildren > 0
    const below = hasMore && !inPieces ? this.tree.sizeBelow(tx, top) : NOTHING
    const own = node === undefined ? NOTHING : { nodes: 1, bytes: node.data === null ? 0 : node.data.length }
    this.write(statsPath, stats, own.nodes + below.nodes, own.bytes + below.bytes)
    if (!hasMore || !inPieces) return
    beginCounting(tx, quota, top)
    this.countOn(quota)
  }
}

const NOTHING = { nodes: 0, bytes: 0 }

/** The path that a quota is about; '' for the root, which has none. */
function ownerOf(quota: string): string {
  return quota.slice(QUOTA_NODE.length)
}
