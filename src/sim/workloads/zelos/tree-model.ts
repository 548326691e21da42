// What Zelos is meant to do with updates, said plainly and without access lists: nodes and sessions in two maps.

import { CREATE_EPHEMERAL, CREATE_SEQUENTIAL, type Update, type UpdateOperation } from '../../../zelos/requests.ts'
import { ZCODE } from '../../../zelos/znode.ts'

/** Never changed: an update replaces it. */
export interface ModelNode {
  readonly data: string
  readonly version: number
  readonly czxid: number
  readonly mzxid: number
  readonly pzxid: number
  readonly creates: number
  readonly owner: number
}

interface ModelSession {
  readonly password: string
  readonly epoch: number
  readonly renewedAt: number
}

/** What an operation answers. */
export interface ModelResult {
  readonly err: number
  readonly path?: string
  readonly version?: number
}

export interface ModelUpdateResult extends ModelResult {
  readonly results?: readonly ModelResult[]
  readonly epoch?: number
}

const FRESH: ModelNode = { data: '', version: 0, czxid: 0, mzxid: 0, pzxid: 0, creates: 0, owner: 0 }

class Refusal extends Error {
  readonly err: number

  constructor(err: number) {
    super(`refused: ${err}`)
    this.err = err
  }
}

export class TreeModel {
  zxid = 0
  nodes: Map<string, ModelNode>
  readonly sessions = new Map<number, ModelSession>()

  constructor() {
    this.nodes = new Map(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'].map((path) => [path, FRESH]))
  }

  apply(update: Update, pos: number): ModelUpdateResult {
    this.zxid++
    const before = this.nodes
    this.nodes = new Map(before)
    try {
      return this.run(update, pos)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.nodes = before
      return { err: error.err }
    }
  }

  hasChildren(path: string): boolean {
    const prefix = path === '/' ? path : `${path}/`
    for (const other of this.nodes.keys()) if (other.startsWith(prefix) && other !== path) return true
    return false
  }

  private run(update: Update, pos: number): ModelUpdateResult {
    const { sessions, zxid } = this
    switch (update.kind) {
      case 'write':
        this.checkSession(update.requester)
        return this.operate(update.operation, update.requester.session)
      case 'multi':
        this.checkSession(update.requester)
        return { err: ZCODE.OK, results: this.multi(update.operations, update.requester.session) }
      case 'createSession':
        sessions.set(zxid, { password: textOf(update.password), epoch: 1, renewedAt: pos })
        return { err: ZCODE.OK, epoch: 1 }
      case 'moveSession': {
        const session = sessions.get(update.session)
        if (session?.password !== textOf(update.password)) throw new Refusal(ZCODE.SESSION_EXPIRED)
        sessions.set(update.session, { ...session, epoch: session.epoch + 1, renewedAt: pos })
        return { err: ZCODE.OK, epoch: session.epoch + 1 }
      }
      case 'closeSession':
        if (!sessions.has(update.requester.session)) return { err: ZCODE.OK }
        this.checkSession(update.requester)
        return this.end(update.requester.session)
      case 'announceMember':
      case 'countQuota':
      case 'endSession':
      case 'armTimers':
      case 'newHistory':
        throw new Error('no workload restores, or announces servers')
      case 'renewSessions':
        for (const { session: id, ownerEpoch } of update.sessions) {
          const session = sessions.get(id)
          if (session?.epoch === ownerEpoch) sessions.set(id, { ...session, renewedAt: pos })
        }
        return { err: ZCODE.OK }
      case 'expireNode':
        throw new Error('this model knows no nodes with a lifetime')
      case 'expireSession': {
        const session = sessions.get(update.session)
        if (session === undefined) throw new Refusal(ZCODE.SESSION_EXPIRED)
        if (session.renewedAt > update.heardAt) throw new Refusal(ZCODE.SESSION_MOVED)
        return this.end(update.session)
      }
    }
  }

  private checkSession(who: { readonly session: number; readonly ownerEpoch: number }): void {
    const session = this.sessions.get(who.session)
    if (session === undefined) throw new Refusal(ZCODE.SESSION_EXPIRED)
    if (session.epoch !== who.ownerEpoch) throw new Refusal(ZCODE.SESSION_MOVED)
  }

  private end(id: number): ModelResult {
    this.sessions.delete(id)
    for (const [path, { owner }] of [...this.nodes]) if (owner === id) this.drop(path)
    return { err: ZCODE.OK }
  }

  private multi(operations: readonly UpdateOperation[], session: number): ModelResult[] {
    const before = new Map(this.nodes)
    const results: ModelResult[] = []
    for (const operation of operations) {
      try {
        results.push(this.operate(operation, session))
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        this.nodes = before
        const failed = results.length
        return operations.map((_, i) => ({
          err: i < failed ? ZCODE.OK : i === failed ? error.err : ZCODE.RUNTIME_INCONSISTENCY,
        }))
      }
    }
    return results
  }

  private operate(operation: UpdateOperation, session: number): ModelResult {
    const { path } = operation
    switch (operation.op) {
      case 'create':
        return this.create(path, operation.flags, textOf(operation.data), session)
      case 'delete': {
        this.find(parentOf(path))
        this.find(path, operation.version)
        if (this.hasChildren(path)) throw new Refusal(ZCODE.NOT_EMPTY)
        this.drop(path)
        return { err: ZCODE.OK }
      }
      case 'setData': {
        const node = this.find(path, operation.version)
        const version = node.version + 1
        this.nodes.set(path, { ...node, data: textOf(operation.data), version, mzxid: this.zxid })
        return { err: ZCODE.OK, version }
      }
      case 'check':
        this.find(path, operation.version)
        return { err: ZCODE.OK }
      case 'setAcl':
        throw new Error('this model knows no access lists')
    }
  }

  private create(asked: string, flags: number, data: string, session: number): ModelResult {
    const { zxid } = this
    const above = parentOf(asked)
    const parent = this.find(above)
    const path = flags & CREATE_SEQUENTIAL ? asked + String(parent.creates).padStart(10, '0') : asked
    if (this.nodes.has(path)) throw new Refusal(ZCODE.NODE_EXISTS)
    if (parent.owner !== 0) throw new Refusal(ZCODE.NO_CHILDREN_FOR_EPHEMERALS)
    const owner = flags & CREATE_EPHEMERAL ? session : 0
    this.nodes.set(path, { ...FRESH, data, owner, czxid: zxid, mzxid: zxid, pzxid: zxid })
    this.nodes.set(above, { ...parent, creates: parent.creates + 1, pzxid: zxid })
    return { err: ZCODE.OK, path, version: 0 }
  }

  private drop(path: string): void {
    const above = parentOf(path)
    this.nodes.delete(path)
    this.nodes.set(above, { ...this.find(above), pzxid: this.zxid })
  }

  private find(path: string, version = -1): ModelNode {
    const node = this.nodes.get(path)
    if (node === undefined) throw new Refusal(ZCODE.NO_NODE)
    if (version !== -1 && version !== node.version) throw new Refusal(ZCODE.BAD_VERSION)
    return node
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function textOf(data: Uint8Array | null): string {
  return Buffer.from(data ?? []).toString('latin1')
}
