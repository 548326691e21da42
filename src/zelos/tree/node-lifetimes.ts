// When containers and TTL nodes go: their timers, armed in apply, and what their firing means. Decided from records alone. A
// node with children is never removed here, nor a TTL node before its time is over.
//
// Each such node has a record under `t`: u8 format = 1, u8 1 if it is a TTL node whose time is over, 0 otherwise. It is what
// is found again when timers are switched on. Their number is under `u`: u64, absent in a store that is older than it, until a
// server logs an update that knows it, as it is with changes that are kept (kept-changes.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { TimerId, TimerService } from '../../engine/timer-service.ts'
import type { KeyRange, ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { UpdateEncoder } from '../request-codec.ts'
import type { Update } from '../requests.ts'
import type { Lifetime, ZNode, Zxid } from '../znode.ts'
import type { ApplyState } from './apply-state.ts'
import { TIMED_COUNT_KEY, timedKey, timedPath, timedRange } from './key-space.ts'
import type { NodeTree } from './node-tree.ts'
import { timedNodesMax } from './timer-room.ts'
import { asBuffer, readUint64, uint64Record } from './uint64.ts'

const FORMAT = 1
const RUNNING = Buffer.of(FORMAT, 0)
const OVER = Buffer.of(FORMAT, 1)

/** UTF-16 units in the path of a node with a lifetime, so that a timer can carry it. Refused with BAD_ARGUMENTS. */
export const TIMED_PATH_CHARS_MAX = 16_000

/** A TTL node whose time was over before its last child went stays so much longer, as until ZooKeeper's next look at it. */
const AFTER_CHILDREN_MS = 60_000
/**
 * A stopwatch is started anew by a restart of its server. A long lifetime is measured in pieces, so that each restart costs one
 * piece at most.
 */
const PIECE_MS = 60 * 60 * 1000
const TIMER_ID_BYTES = 255
const HASH_CHARS = 16

type Expiry = Extract<Update, { kind: 'expireNode' }>

/** What the firing of a node's timer comes to. */
export type ExpiryVerdict = 'remove' | 'void' | 'stays'

export class NodeLifetimes {
  private readonly state: ApplyState
  private readonly tree: NodeTree
  private readonly keepsCount: () => boolean
  private readonly encoder = new UpdateEncoder()
  private timers: TimerService | undefined

  /** `keepsCount`: all servers know the record of it; asked in apply. */
  constructor(state: ApplyState, tree: NodeTree, keepsCount: () => boolean) {
    this.state = state
    this.tree = tree
    this.keepsCount = keepsCount
  }

  /** Without timers no node goes by itself. */
  useTimers(timers: TimerService): void {
    this.timers = timers
  }

  /** Records of what may need a timer. */
  allToArm(): KeyRange {
    return timedRange()
  }

  /** The lifetime of a node from there starts anew: timers were switched on. */
  armAnew(tx: ReadWriteTx, key: Key, record: Uint8Array): void {
    const path = timedPath(key)
    // Not from memory, which may know more than this transaction.
    const node = this.tree.stored(tx, path)
    if (node?.lifetime === undefined) throw new DelosError('CORRUPT', `no node with a lifetime at ${path}`)
    this.armWhole(tx, path, node, node.lifetime, isOver(record))
  }

  /** Can one more node have a lifetime? */
  hasRoom(tx: ReadTx): boolean {
    const { timers } = this
    return timers === undefined || this.count(tx) < timedNodesMax(timers.timersMax)
  }

  /** Nodes with a lifetime. A store that was never asked is counted. */
  count(reader: ReadTx): number {
    const record = reader.get(TIMED_COUNT_KEY)
    if (record !== undefined) return readUint64(asBuffer(record), 0)
    let count = 0
    for (const _row of reader.scan(timedRange(), { keysOnly: true })) count++
    return count
  }

  /** The node is new. */
  added(path: string, node: ZNode, lifetime: Lifetime): void {
    this.setCount(1)
    this.changed(path, node, lifetime)
  }

  /** The node is new, or has other data. */
  changed(path: string, { mzxid }: ZNode, lifetime: Lifetime): void {
    this.state.tx.put(timedKey(path), RUNNING)
    if (lifetime.kind === 'ttl') this.arm(this.state.tx, path, mzxid, lifetime.ms)
  }

  removed(path: string): void {
    const { tx } = this.state
    this.setCount(-1)
    tx.delete(timedKey(path))
    this.timers?.cancel(tx, timerOf(path))
  }

  /** Its last child has gone. `node` is as it was with it, which counts only for what a child does not change. */
  emptied(path: string, node: ZNode, lifetime: Lifetime, zxid: Zxid): void {
    if (lifetime.kind === 'container') this.arm(this.state.tx, path, zxid, lifetime.ms)
    else if (this.isOver(path)) this.arm(this.state.tx, path, node.mzxid, Math.min(lifetime.ms, AFTER_CHILDREN_MS))
  }

  /** `remove`: the caller does it. Otherwise all that there is to do is done. */
  fired({ path, since, leftMs }: Expiry, node: ZNode | undefined): ExpiryVerdict {
    const lifetime = node?.lifetime
    if (node === undefined || lifetime === undefined) return 'void'
    if ((lifetime.kind === 'ttl' ? node.mzxid : node.pzxid) !== since) return 'void'
    if (leftMs > 0) {
      this.arm(this.state.tx, path, since, leftMs)
      return 'stays'
    }
    if (node.numChildren === 0) return 'remove'
    if (lifetime.kind === 'ttl') this.state.tx.put(timedKey(path), OVER)
    return 'stays'
  }

  private armWhole(tx: ReadWriteTx, path: string, node: ZNode, { kind, ms }: Lifetime, over: boolean): void {
    const { mzxid, pzxid, numChildren, createdChildren } = node
    if (kind === 'ttl' && !over) this.arm(tx, path, mzxid, ms)
    else if (numChildren > 0) return
    else if (kind === 'ttl') this.arm(tx, path, mzxid, Math.min(ms, AFTER_CHILDREN_MS))
    else if (createdChildren !== 0) this.arm(tx, path, pzxid, ms)
  }

  /** Before the record of the node is written or deleted. */
  private setCount(change: number): void {
    const { tx } = this.state
    if (!this.keepsCount() && tx.get(TIMED_COUNT_KEY) === undefined) return
    tx.put(TIMED_COUNT_KEY, uint64Record(this.count(tx) + change))
  }

  private isOver(path: string): boolean {
    const record = this.state.tx.get(timedKey(path))
    return record !== undefined && isOver(record)
  }

  private arm(tx: ReadWriteTx, path: string, since: Zxid, ms: number): void {
    const { timers } = this
    if (!timers?.enabledInApply) return
    const delayMs = Math.max(1, Math.min(ms, PIECE_MS))
    const expiry: Expiry = { kind: 'expireNode', path, since, leftMs: Math.max(0, ms - delayMs) }
    timers.arm(tx, timerOf(path), delayMs, this.encoder.encode(expiry, 0))
  }
}

function isOver(record: Uint8Array): boolean {
  if (record[0] !== FORMAT) throw new DelosError('FORMAT', `record of a lifetime of format ${record[0]}`)
  return record[1] === 1
}

/**
 * Its timer. Of two long paths with the same beginning and the same hash only one would have a timer, and the other node would
 * stay: what a timer brings names the whole path.
 */
function timerOf(path: string): TimerId {
  const key = timedKey(path)
  if (key.length <= TIMER_ID_BYTES) return key
  return key.slice(0, TIMER_ID_BYTES - HASH_CHARS) + hashOf(key, 0x811c9dc5) + hashOf(key, 0x2c1b3c6d)
}

function hashOf(key: Key, seed: number): string {
  let hash = seed
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
