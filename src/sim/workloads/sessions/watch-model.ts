// Which events a connection must be told: of changes while it is there, and of those that it missed. ZooKeeper's rules once more,
// said plainly, for checkers.

import { OP } from '../../../zookeeper/codec/opcodes.ts'
import { EVENT_TYPE, WATCH_MODE } from '../../../zookeeper/codec/watch-codes.ts'
import type { SetWatchesRequest } from '../../../zookeeper/codec/wire-requests.ts'
import type { ReplyFrame } from './tape.ts'
import type { Change, ChangeType, TreeHistory } from './tree-history.ts'

/** An event without its zxid. */
export interface Told {
  /** As in EVENT_TYPE. */
  readonly type: number
  readonly path: string
}

const TYPES = {
  created: EVENT_TYPE.nodeCreated,
  deleted: EVENT_TYPE.nodeDeleted,
  dataChanged: EVENT_TYPE.nodeDataChanged,
} as const satisfies Record<ChangeType, number>

const NO_NODE = -101

/** The watches of one connection. */
export class WatchModel {
  readonly data = new Set<string>()
  readonly child = new Set<string>()
  readonly persistent = new Set<string>()
  readonly recursive = new Set<string>()

  get isEmpty(): boolean {
    return this.data.size + this.child.size + this.persistent.size + this.recursive.size === 0
  }

  /** A request was answered that may have set a watch. */
  answered({ to: { request }, err }: ReplyFrame): void {
    switch (request.op) {
      case OP.getData:
        if (request.watch && err === 0) this.data.add(request.path)
        break
      case OP.exists:
        if (request.watch && (err === 0 || err === NO_NODE)) this.data.add(request.path)
        break
      case OP.getChildren:
      case OP.getChildren2:
        if (request.watch && err === 0) this.child.add(request.path)
        break
      case OP.addWatch:
        if (err === 0) this.lasting(request.mode).add(request.path)
        break
      default:
    }
  }

  /** The events of one update, in no order. One-shot watches that fire are gone. */
  fire(changes: readonly Change[]): Told[] {
    return changes.flatMap((change) => this.fireOne(change))
  }

  private lasting(mode: number): Set<string> {
    return mode === WATCH_MODE.persistent ? this.persistent : this.recursive
  }

  private fireOne({ type, path }: Change): Told[] {
    const { child, data, persistent, recursive } = this
    const told: Told[] = []
    const ofChildren = type === 'deleted' && child.delete(path)
    if (data.delete(path) || ofChildren || persistent.has(path) || isBelow(path, recursive)) {
      told.push({ type: TYPES[type], path })
    }
    if (type === 'dataChanged') return told
    const parent = parentOf(path)
    if (child.delete(parent) || persistent.has(parent))
      told.push({ type: EVENT_TYPE.nodeChildrenChanged, path: parent })
    return told
  }
}

/** What a setWatches is told at once, in its order. */
export interface Replay {
  /** Of watches that stay: by zxid, those of one zxid in no order. */
  readonly lasting: readonly (readonly [zxid: number, told: Told])[]
  /** Of watches that fire once. */
  readonly once: readonly Told[]
}

/** Of the changes up to zxid `to`. Adds to `model` what goes on watching. */
export function replayOf(history: TreeHistory, request: SetWatchesRequest, to: number, model: WatchModel): Replay {
  const { relativeZxid: since } = request
  const missed = new WatchModel()
  for (const path of request.persistentWatches) missed.persistent.add(path)
  for (const path of request.persistentRecursiveWatches) missed.recursive.add(path)
  const lasting: (readonly [number, Told])[] = []
  if (!missed.isEmpty) {
    for (let zxid = since + 1; zxid <= to; zxid++) {
      for (const told of missed.fire(history.changesAt(zxid))) lasting.push([zxid, told])
    }
  }
  return { lasting, once: setAgain(history, request, to, model, lasting) }
}

function setAgain(
  history: TreeHistory,
  request: SetWatchesRequest,
  to: number,
  model: WatchModel,
  lasting: Replay['lasting'],
): Told[] {
  const { nodeChildrenChanged, nodeCreated, nodeDataChanged, nodeDeleted } = EVENT_TYPE
  const { relativeZxid: since } = request
  for (const path of request.persistentWatches) model.persistent.add(path)
  for (const path of request.persistentRecursiveWatches) model.recursive.add(path)
  const heard = (path: string, types: readonly number[]): boolean =>
    lasting.some(([, told]) => told.path === path && types.includes(told.type))
  const told: Told[] = []
  const ofData = [nodeCreated, nodeDeleted, nodeDataChanged]
  for (const path of request.dataWatches) {
    if (heard(path, ofData)) continue
    const node = history.nodeAt(path, to)
    if (node === undefined) told.push({ type: nodeDeleted, path })
    else if (node.mzxid > since) told.push({ type: nodeDataChanged, path })
    else model.data.add(path)
  }
  for (const path of request.existWatches) {
    if (heard(path, ofData)) continue
    if (history.nodeAt(path, to) === undefined) model.data.add(path)
    else told.push({ type: nodeCreated, path })
  }
  for (const path of request.childWatches) {
    if (heard(path, [nodeChildrenChanged, nodeDeleted])) continue
    const node = history.nodeAt(path, to)
    if (node === undefined) told.push({ type: nodeDeleted, path })
    else if (node.pzxid > since) told.push({ type: nodeChildrenChanged, path })
    else model.child.add(path)
  }
  return told
}

function isBelow(path: string, tops: ReadonlySet<string>): boolean {
  for (let at = path; ; at = parentOf(at)) {
    if (tops.has(at)) return true
    if (at === '/') return false
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}
