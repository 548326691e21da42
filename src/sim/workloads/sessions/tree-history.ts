// Everything that has happened to the tree and its sessions, by zxid, taken from the updates in the order of the log: what a
// node, or a list of children, was at any zxid, and which changes each zxid made. The truth that tapes are compared with.

import type { Update } from '../../../zelos/requests.ts'
import { ZCODE } from '../../../zelos/znode.ts'
import { wireSessionId } from '../../../zookeeper/codec/session-id.ts'
import type { ModelNode, ModelUpdateResult, TreeModel } from '../zelos/tree-model.ts'

export type ChangeType = 'created' | 'deleted' | 'dataChanged'

/** One node, changed by one update. */
export interface Change {
  readonly type: ChangeType
  readonly path: string
}

/** One update as it was applied. */
export interface AppliedUpdate {
  readonly zxid: number
  readonly update: Update
  readonly expected: ModelUpdateResult
  /** When a server applied it first. */
  readonly atMs: number
}

export interface SessionEnd {
  readonly zxid: number
  readonly atMs: number
  readonly how: 'closed' | 'expired'
}

export interface Version {
  readonly zxid: number
  readonly node: ModelNode | undefined
}

export class TreeHistory {
  private readonly changes: (readonly Change[])[] = []
  private readonly versions = new Map<string, Version[]>()
  private readonly updates = new Map<bigint, AppliedUpdate[]>()
  /** By id as clients know it. */
  readonly ends = new Map<bigint, SessionEnd>()
  private before: ReadonlyMap<string, ModelNode> = new Map()

  /** The zxid of the newest update. */
  get last(): number {
    return this.changes.length
  }

  /** The next update was applied, and has brought `model` to where it stands. */
  note(update: Update, expected: ModelUpdateResult, model: TreeModel, atMs: number): void {
    const zxid = this.changes.length + 1
    this.changes.push(this.compare(model.nodes, zxid))
    this.before = model.nodes
    const session = sessionOf(update)
    if (session === undefined) return
    const id = wireSessionId(session)
    const applied = { zxid, update, expected, atMs }
    const known = this.updates.get(id)
    if (known === undefined) this.updates.set(id, [applied])
    else known.push(applied)
    const isEnd = update.kind === 'closeSession' || update.kind === 'expireSession'
    if (!isEnd || expected.err !== ZCODE.OK || this.ends.has(id)) return
    this.ends.set(id, { zxid, atMs, how: update.kind === 'closeSession' ? 'closed' : 'expired' })
  }

  /** What this update did to nodes, in no order. */
  changesAt(zxid: number): readonly Change[] {
    return this.changes[zxid - 1] ?? []
  }

  /** The updates of one session, its end included, in their order. */
  updatesOf(id: bigint): readonly AppliedUpdate[] {
    return this.updates.get(id) ?? []
  }

  nodeAt(path: string, zxid: number): ModelNode | undefined {
    const versions = this.versions.get(path) ?? []
    return versions[firstAfter(versions, zxid) - 1]?.node
  }

  /** The node as it was at any time from one zxid to another. */
  between(path: string, from: number, to: number): Version[] {
    const versions = this.versions.get(path) ?? []
    const first = firstAfter(versions, from)
    return [{ zxid: from, node: versions[first - 1]?.node }, ...versions.slice(first, firstAfter(versions, to))]
  }

  /** Names of the children, in order. */
  childrenAt(parent: string, zxid: number): string[] {
    const prefix = `${parent}/`
    const names: string[] = []
    for (const path of this.versions.keys()) {
      if (!path.startsWith(prefix) || path.indexOf('/', prefix.length) !== -1) continue
      if (this.nodeAt(path, zxid) !== undefined) names.push(path.slice(prefix.length))
    }
    return names.sort()
  }

  private compare(after: ReadonlyMap<string, ModelNode>, zxid: number): Change[] {
    const { before } = this
    const changes: Change[] = []
    if (after === before) return changes
    for (const [path, node] of after) {
      const was = before.get(path)
      if (was === node) continue
      this.keep(path, zxid, node)
      if (was === undefined || was.czxid !== node.czxid) {
        if (was !== undefined) changes.push({ type: 'deleted', path })
        changes.push({ type: 'created', path })
      }
      const versionBefore = was?.czxid === node.czxid ? was.version : 0
      for (let version = versionBefore; version < node.version; version++) changes.push({ type: 'dataChanged', path })
    }
    for (const path of before.keys()) {
      if (after.has(path)) continue
      this.keep(path, zxid, undefined)
      changes.push({ type: 'deleted', path })
    }
    // The first nodes were there before everything.
    return this.changes.length === 0 ? changes.filter(({ path }) => !FIRST.has(path)) : changes
  }

  private keep(path: string, zxid: number, node: ModelNode | undefined): void {
    const versions = this.versions.get(path)
    if (versions === undefined) this.versions.set(path, [{ zxid, node }])
    else versions.push({ zxid, node })
  }
}

/** Versions are in the order of their zxids. */
function firstAfter(versions: readonly Version[], zxid: number): number {
  let low = 0
  let high = versions.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((versions[middle] as Version).zxid > zxid) high = middle
    else low = middle + 1
  }
  return low
}

const FIRST: ReadonlySet<string> = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'])

function sessionOf(update: Update): number | undefined {
  switch (update.kind) {
    case 'write':
    case 'multi':
    case 'closeSession':
      return update.requester.session
    case 'moveSession':
    case 'expireSession':
      return update.session
    default:
      return undefined
  }
}
