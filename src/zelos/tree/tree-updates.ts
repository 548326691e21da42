// What each operation does to the tree, with ZooKeeper's checks in ZooKeeper's order (its request preparation, release
// 3.9). Every step checks first and writes then: one that is refused has changed nothing.

import { unreachable } from '../../base/assert.ts'
import {
  CREATE_EPHEMERAL,
  CREATE_SEQUENTIAL,
  type OperationResult,
  type Requester,
  type Update,
  type UpdateOperation,
} from '../requests.ts'
import {
  type Acl,
  type Lifetime,
  PERM,
  type SessionId,
  TTL_MS_MAX,
  ZCODE,
  type ZCode,
  type ZNode,
  type Zxid,
} from '../znode.ts'
import { fixupAcl, isPermitted } from './acl-rules.ts'
import { type AclStore, OPEN_ACL_ID } from './acl-store.ts'
import type { ApplyState } from './apply-state.ts'
import { dataLengthOf, snapshotOf } from './cached-node.ts'
import { type NodeLifetimes, TIMED_PATH_CHARS_MAX } from './node-lifetimes.ts'
import { isSystemNode, isValidPath, ROOT, withSequence, ZOOKEEPER_NODE } from './node-path.ts'
import type { NodeTree } from './node-tree.ts'
import type { Quotas } from './quotas.ts'

/** What watches need to know of a change. The lists are those of the moment: a deleted node's may be gone afterwards. */
export interface TreeChange {
  readonly type: 'created' | 'deleted' | 'dataChanged'
  readonly path: string
  readonly acl: readonly Acl[]
  /** Undefined for dataChanged. */
  readonly parentAcl: readonly Acl[] | undefined
}

/** Who changes the tree, and when: the same for all operations of an update. */
export interface UpdateContext {
  readonly requester: Requester
  readonly zxid: Zxid
  readonly wallMs: number
  /** Hard limits of quotas refuse. */
  readonly enforceQuotas: boolean
  /** A quota that begins is counted a piece at a time: the server that logged the update goes on with it. */
  readonly countInPieces: boolean
  /** In the order in which they happened; see `addChange`. */
  changes: readonly TreeChange[]
}

/** Of an update that has changed nothing yet. */
export const NO_CHANGES: readonly TreeChange[] = []

type CreateOperation = Extract<UpdateOperation, { op: 'create' }>
type DeleteOperation = Extract<UpdateOperation, { op: 'delete' }>
type SetDataOperation = Extract<UpdateOperation, { op: 'setData' }>
type SetAclOperation = Extract<UpdateOperation, { op: 'setAcl' }>
type CheckOperation = Extract<UpdateOperation, { op: 'check' }>

const DONE: OperationResult = { err: ZCODE.OK }
const ANY_VERSION = -1
/** Of those that a session leaves behind. */
const NODES_READ_AT_ONCE = 1_000

export class TreeUpdates {
  private readonly state: ApplyState
  private readonly tree: NodeTree
  private readonly acls: AclStore
  private readonly lifetimes: NodeLifetimes
  private readonly quotas: Quotas

  constructor(state: ApplyState, tree: NodeTree, acls: AclStore, lifetimes: NodeLifetimes, quotas: Quotas) {
    this.state = state
    this.tree = tree
    this.acls = acls
    this.lifetimes = lifetimes
    this.quotas = quotas
  }

  /** One operation of a session that was checked. */
  run(operation: UpdateOperation, context: UpdateContext): OperationResult {
    switch (operation.op) {
      case 'setData':
        return this.setData(operation, context)
      case 'create':
        return this.create(operation, context)
      case 'delete':
        return this.delete(operation, context)
      case 'setAcl':
        return this.setAcl(operation, context)
      case 'check':
        return this.check(operation, context)
      default:
        return unreachable(operation)
    }
  }

  private create(operation: CreateOperation, context: UpdateContext): OperationResult {
    const { tree } = this
    const parentPath = parentInRequest(operation.path)
    if (parentPath === undefined) return refused(ZCODE.BAD_ARGUMENTS)
    const acl = fixupAcl(operation.acl, context.requester)
    if (acl === undefined) return refused(ZCODE.INVALID_ACL)
    const parent = tree.node(this.state.tx, parentPath)
    if (parent === undefined) return refused(ZCODE.NO_NODE)
    if (!this.may(PERM.CREATE, parent, context)) return refused(ZCODE.NO_AUTH)
    const sequential = (operation.flags & CREATE_SEQUENTIAL) !== 0
    const path = sequential ? withSequence(operation.path, parent.createdChildren) : operation.path
    if (!isValidPath(path)) return refused(ZCODE.BAD_ARGUMENTS)
    if (path === ROOT || tree.hasChild(parentPath, parent, path)) return refused(ZCODE.NODE_EXISTS)
    if (parent.ephemeralOwner !== 0) return refused(ZCODE.NO_CHILDREN_FOR_EPHEMERALS)
    const bytes = lengthOf(operation.data)
    const quota = this.quotas.of(path)
    if (quota !== undefined) {
      const exceeded = this.quotas.check(quota, 1, bytes, context.enforceQuotas)
      if (exceeded !== ZCODE.OK) return refused(exceeded)
    }
    const { lifetime } = operation
    if (lifetime !== undefined && !this.isPossible(lifetime, path)) return refused(ZCODE.BAD_ARGUMENTS)
    const isEphemeral = lifetime === undefined && (operation.flags & CREATE_EPHEMERAL) !== 0
    const owner = isEphemeral ? context.requester.session : 0
    const fresh = this.freshNode(operation.data, acl, owner, lifetime, context)
    const node = tree.add(path, fresh, parentPath, parent)
    if (lifetime !== undefined) this.lifetimes.added(path, node, lifetime)
    this.quotas.created(path, context.countInPieces)
    if (quota !== undefined) this.quotas.changed(quota, path, 1, bytes)
    addChange(context, { type: 'created', path, acl, parentAcl: this.listOf(parent) })
    return { err: ZCODE.OK, path, node }
  }

  private freshNode(
    data: Uint8Array | null,
    acl: readonly Acl[],
    owner: SessionId,
    lifetime: Lifetime | undefined,
    context: UpdateContext,
  ): ZNode {
    const { zxid, wallMs } = context
    return {
      data,
      czxid: zxid,
      mzxid: zxid,
      pzxid: zxid,
      ctime: wallMs,
      mtime: wallMs,
      version: 0,
      createdChildren: 0,
      aversion: 0,
      ephemeralOwner: owner,
      aclId: this.acls.take(acl),
      numChildren: 0,
      lifetime,
    }
  }

  private delete(operation: DeleteOperation, context: UpdateContext): OperationResult {
    const { path } = operation
    const parentPath = parentInRequest(path)
    if (parentPath === undefined || isSystemNode(path)) return refused(ZCODE.BAD_ARGUMENTS)
    const parent = this.tree.node(this.state.tx, parentPath)
    if (parent === undefined) return refused(ZCODE.NO_NODE)
    if (!this.may(PERM.DELETE, parent, context)) return refused(ZCODE.NO_AUTH)
    const node = this.tree.node(this.state.tx, path)
    if (node === undefined) return refused(ZCODE.NO_NODE)
    if (!isExpected(operation.version, node.version)) return refused(ZCODE.BAD_VERSION)
    if (node.numChildren > 0) return refused(ZCODE.NOT_EMPTY)
    this.remove(path, node, parentPath, parent, context)
    return DONE
  }

  /**
   * Removes ephemeral nodes that a session leaves behind: no permission, no version, as ZooKeeper does at its end. The record of a
   * parent is written once for children that come one after the other.
   */
  removeEphemerals(paths: readonly string[], context: UpdateContext): void {
    const { state, tree } = this
    const { tx } = state
    const nodes: (ZNode | undefined)[] = []
    // All of them before the first is removed: what reads a transaction makes it sort all that it has written.
    for (let from = 0; from < paths.length; from += NODES_READ_AT_ONCE) {
      for (const node of tree.nodesOf(tx, paths.slice(from, from + NODES_READ_AT_ONCE))) nodes.push(node)
    }
    for (let at = 0; at < paths.length; ) at += this.removeFamily(paths, nodes, at, context)
  }

  /** Removes the node at index `first` and those behind it with the same parent; how many that were. */
  private removeFamily(
    paths: readonly string[],
    nodes: readonly (ZNode | undefined)[],
    first: number,
    context: UpdateContext,
  ): number {
    const { tx } = this.state
    const parentPath = parentInRequest(paths[first] as string) as string
    const parent = this.tree.node(tx, parentPath) as ZNode
    // What quotas are made of may change with each that goes.
    if (parentPath.startsWith(ZOOKEEPER_NODE)) {
      const path = paths[first] as string
      this.remove(path, this.tree.node(tx, path) as ZNode, parentPath, parent, context)
      return 1
    }
    let at = first
    for (let path = paths[at]; path !== undefined && isChildOf(path, parentPath); path = paths[++at]) {
      this.removeOf(path, nodes[at] as ZNode, parent, context)
    }
    this.lost(parentPath, parent, at - first, context)
    return at - first
  }

  /** The timer of a container or TTL node has fired: removes the node if its time is over. False if nothing was to be done. */
  expire(expiry: Extract<Update, { kind: 'expireNode' }>, context: UpdateContext): boolean {
    const { path } = expiry
    const { tx } = this.state
    const node = this.tree.node(tx, path)
    const verdict = this.lifetimes.fired(expiry, node)
    if (verdict !== 'remove') return verdict !== 'void'
    const parentPath = parentInRequest(path) as string
    this.remove(path, node as ZNode, parentPath, this.tree.node(tx, parentPath) as ZNode, context)
    return true
  }

  private remove(path: string, node: ZNode, parentPath: string, parent: ZNode, context: UpdateContext): void {
    this.removeOf(path, node, parent, context)
    this.lost(parentPath, parent, 1, context)
  }

  /** All of a removal but what it means to the parent. */
  private removeOf(path: string, node: ZNode, parent: ZNode, context: UpdateContext): void {
    addChange(context, { type: 'deleted', path, acl: this.listOf(node), parentAcl: this.listOf(parent) })
    this.tree.remove(path, node)
    this.acls.release(node.aclId)
    const quota = this.quotas.of(path)
    if (quota !== undefined) this.quotas.changed(quota, path, -1, -dataLengthOf(node))
    this.quotas.removed(path)
    if (node.lifetime !== undefined) this.lifetimes.removed(path)
  }

  private lost(parentPath: string, parent: ZNode, children: number, { zxid }: UpdateContext): void {
    this.tree.lost(parentPath, parent, zxid, children)
    const { lifetime } = parent
    if (lifetime !== undefined && parent.numChildren === children) {
      this.lifetimes.emptied(parentPath, parent, lifetime, zxid)
    }
  }

  private setData(operation: SetDataOperation, context: UpdateContext): OperationResult {
    const { path } = operation
    const node = this.tree.node(this.state.tx, path)
    if (node === undefined) return missing(path)
    if (!this.may(PERM.WRITE, node, context)) return refused(ZCODE.NO_AUTH)
    const bytesDiff = lengthOf(operation.data) - dataLengthOf(node)
    const quota = bytesDiff === 0 ? undefined : this.quotas.of(path)
    if (quota !== undefined) {
      const exceeded = this.quotas.check(quota, 0, bytesDiff, context.enforceQuotas)
      if (exceeded !== ZCODE.OK) return refused(exceeded)
    }
    if (!isExpected(operation.version, node.version)) return refused(ZCODE.BAD_VERSION)
    const changed = this.tree.replaceData(path, node, {
      data: operation.data,
      czxid: node.czxid,
      mzxid: context.zxid,
      pzxid: node.pzxid,
      ctime: node.ctime,
      mtime: context.wallMs,
      version: nextVersion(node.version),
      createdChildren: node.createdChildren,
      aversion: node.aversion,
      ephemeralOwner: node.ephemeralOwner,
      aclId: node.aclId,
      numChildren: node.numChildren,
      lifetime: node.lifetime,
    })
    if (node.lifetime !== undefined) this.lifetimes.changed(path, changed, node.lifetime)
    if (quota !== undefined) this.quotas.changed(quota, path, 0, bytesDiff)
    addChange(context, { type: 'dataChanged', path, acl: this.listOf(node), parentAcl: undefined })
    return { err: ZCODE.OK, node: changed }
  }

  private setAcl(operation: SetAclOperation, context: UpdateContext): OperationResult {
    const { path } = operation
    if (!isValidPath(path)) return refused(ZCODE.BAD_ARGUMENTS)
    const acl = fixupAcl(operation.acl, context.requester)
    if (acl === undefined) return refused(ZCODE.INVALID_ACL)
    const node = this.tree.node(this.state.tx, path)
    if (node === undefined) return refused(ZCODE.NO_NODE)
    if (!this.may(PERM.ADMIN, node, context)) return refused(ZCODE.NO_AUTH)
    if (!isExpected(operation.version, node.aversion)) return refused(ZCODE.BAD_VERSION)
    // Taken before the old one is released: the same list must not vanish in between.
    const aclId = this.acls.take(acl)
    this.acls.release(node.aclId)
    const changed: ZNode = { ...snapshotOf(node), aversion: nextVersion(node.aversion), aclId }
    this.tree.replaceStat(path, node, changed)
    return { err: ZCODE.OK, node: changed }
  }

  private check(operation: CheckOperation, context: UpdateContext): OperationResult {
    const { path } = operation
    const node = this.tree.node(this.state.tx, path)
    if (node === undefined) return missing(path)
    if (!this.may(PERM.READ, node, context)) return refused(ZCODE.NO_AUTH)
    return isExpected(operation.version, node.version) ? DONE : refused(ZCODE.BAD_VERSION)
  }

  private isPossible({ ms }: Lifetime, path: string): boolean {
    if (ms < 1 || ms > TTL_MS_MAX || path.length > TIMED_PATH_CHARS_MAX) return false
    return this.lifetimes.hasRoom(this.state.tx)
  }

  private may(perm: number, node: ZNode, context: UpdateContext): boolean {
    return node.aclId === OPEN_ACL_ID || isPermitted(this.listOf(node), perm, context.requester)
  }

  private listOf(node: ZNode): readonly Acl[] {
    return this.acls.list(this.state.tx, node.aclId)
  }
}

// An array that grows from nothing makes room for 17: most updates change one node.
function addChange(context: UpdateContext, change: TreeChange): void {
  if (context.changes === NO_CHANGES) context.changes = [change]
  else (context.changes as TreeChange[]).push(change)
}

function refused(err: ZCode): OperationResult {
  return { err }
}

function lengthOf(data: Uint8Array | null): number {
  return data === null ? 0 : data.length
}

// ZooKeeper validates the path first; whatever is in the tree has a valid one.
function missing(path: string): OperationResult {
  return refused(isValidPath(path) ? ZCODE.NO_NODE : ZCODE.BAD_ARGUMENTS)
}

/** The parent that create and delete look up, before the path is validated as a whole; undefined for BAD_ARGUMENTS. */
function parentInRequest(path: string): string | undefined {
  const slash = path.lastIndexOf('/')
  if (slash === -1 || path.includes('\x00')) return undefined
  return slash === 0 ? ROOT : path.slice(0, slash)
}

function isChildOf(path: string, parentPath: string): boolean {
  const slash = path.lastIndexOf('/')
  return path.startsWith(parentPath) && (slash === parentPath.length || (slash === 0 && parentPath === ROOT))
}

function isExpected(expected: number, version: number): boolean {
  return expected === ANY_VERSION || expected === version
}

/** int32 that wraps, and leaves out -1, which means "any version" in requests. */
function nextVersion(version: number): number {
  const next = (version + 1) | 0
  return next === ANY_VERSION ? 0 : next
}
