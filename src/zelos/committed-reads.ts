// Reads of the committed tree with their access checks, without watches: as it is now, and as it was when an earlier update of
// the same transaction had been applied.

import { DelosError } from '../base/delos-error.ts'
import type { ReadTx } from '../store/local-store.ts'
import type { Requester } from './requests.ts'
import { isPermitted, maskAcl } from './tree/acl-rules.ts'
import { OPEN_ACL_ID } from './tree/acl-store.ts'
import { ROOT } from './tree/node-path.ts'
import type { AclResult, ChildrenResult, PastReads } from './zelos.ts'
import type { ZelosApplicator } from './zelos-applicator.ts'
import { type Acl, PERM, ZCODE, type ZCode, type ZNode, type Zxid } from './znode.ts'

export class CommittedReads implements PastReads {
  protected readonly applicator: ZelosApplicator
  protected readonly store: { read(): ReadTx }

  constructor(applicator: ZelosApplicator, store: { read(): ReadTx }) {
    this.applicator = applicator
    this.store = store
  }

  exists(requester: Requester, path: string): ZNode | ZCode {
    return path.includes('\x00') ? ZCODE.BAD_ARGUMENTS : this.getData(requester, path)
  }

  getData(requester: Requester, path: string): ZNode | ZCode {
    const node = this.node(path)
    if (node === undefined) return ZCODE.NO_NODE
    return this.may(PERM.READ, node, requester) ? node : ZCODE.NO_AUTH
  }

  getChildren(requester: Requester, path: string, maxBytes: number): ChildrenResult | ZCode {
    const node = this.getData(requester, path)
    if (typeof node === 'number') return node
    const children = this.children(path === '' ? ROOT : path, maxBytes)
    if (children === undefined) throw tooManyChildren(path, node, maxBytes)
    return { children, node }
  }

  getAcl(requester: Requester, path: string): AclResult | ZCode {
    const node = this.node(path)
    if (node === undefined) return ZCODE.NO_NODE
    if (!this.may(PERM.READ | PERM.ADMIN, node, requester)) return ZCODE.NO_AUTH
    const acl = this.aclOf(node)
    return { acl: this.may(PERM.ADMIN, node, requester) ? acl : maskAcl(acl), node }
  }

  // ZooKeeper knows its root also by the empty path, and reads do not validate.
  node(path: string): ZNode | undefined {
    return this.applicator.tree.read(this.store.read(), path === '' ? ROOT : path)
  }

  aclOf(node: ZNode): readonly Acl[] {
    return this.applicator.acls.list(this.store.read(), node.aclId)
  }

  protected children(path: string, maxBytes: number): readonly string[] | undefined {
    return this.applicator.tree.children(this.store.read(), path, maxBytes)
  }

  private may(perms: number, node: ZNode, requester: Requester): boolean {
    return node.aclId === OPEN_ACL_ID || isPermitted(this.aclOf(node), perms, requester)
  }
}

/** The tree as the update left it whose completion runs; outside of completions, as it is now. */
export class ReadsAtCompletion extends CommittedReads {
  /** Of that update. */
  zxid: Zxid | undefined

  override node(path: string): ZNode | undefined {
    const { zxid } = this
    const past = zxid === undefined ? undefined : this.applicator.tree.history.asOf(zxid, path === '' ? ROOT : path)
    return past === undefined ? super.node(path) : (past ?? undefined)
  }

  protected override children(path: string, maxBytes: number): readonly string[] | undefined {
    const names = super.children(path, maxBytes)
    if (names === undefined || this.zxid === undefined) return names
    const changed = this.applicator.tree.history.childrenAsOf(this.zxid, path)
    if (changed.size === 0) return names
    const gone = [...changed].flatMap(([name, wasThere]) => (wasThere && !names.includes(name) ? [name] : []))
    return [...names.filter((name) => changed.get(name) !== false), ...gone]
  }
}

export function tooManyChildren(path: string, node: ZNode, maxBytes: number): DelosError {
  return new DelosError(
    'LIMIT_EXCEEDED',
    `the names of the ${node.numChildren} children of ${path} have more than ${maxBytes} bytes`,
  )
}
