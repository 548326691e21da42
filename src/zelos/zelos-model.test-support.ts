// For tests: what Zelos is meant to do, said as plainly as possible. One map of nodes, everything copied on every update, no
// store, no cache, no rule shared with the real thing but ZooKeeper's numbers.

import type { Requester, Update, UpdateOperation } from './requests.ts'
import type { Acl, Lifetime } from './znode.ts'

export interface ModelNode {
  data: string | null
  czxid: number
  mzxid: number
  pzxid: number
  ctime: number
  mtime: number
  version: number
  creates: number
  aversion: number
  owner: number
  lifetime: Lifetime | undefined
  acl: readonly Acl[]
}

interface ModelSession {
  password: string
  timeoutMs: number
  epoch: number
  renewedAt: number
}

interface Content {
  readonly nodes: Map<string, ModelNode>
  readonly sessions: Map<number, ModelSession>
}

/** What an operation answers: an error, or what the client sees. */
export interface ModelResult {
  err: number
  path?: string
  node?: ModelNode
}

export interface ModelUpdateResult extends ModelResult {
  zxid: number
  results?: ModelResult[]
  session?: ModelSession & { id: number }
}

const OPEN: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const READ: readonly Acl[] = [{ perms: 1, scheme: 'world', id: 'anyone' }]
const FRESH = {
  data: '',
  czxid: 0,
  mzxid: 0,
  pzxid: 0,
  ctime: 0,
  mtime: 0,
  version: 0,
  creates: 0,
  aversion: 0,
  owner: 0,
  lifetime: undefined,
}

class Refusal extends Error {
  readonly err: number

  constructor(err: number) {
    super(`refused: ${err}`)
    this.err = err
  }
}

export class ZelosModel {
  zxid = 0
  private content: Content = {
    sessions: new Map(),
    nodes: new Map([
      ['/', { ...FRESH, acl: OPEN }],
      ['/zookeeper', { ...FRESH, acl: OPEN }],
      ['/zookeeper/quota', { ...FRESH, acl: OPEN }],
      ['/zookeeper/config', { ...FRESH, aversion: -1, acl: READ }],
    ]),
  }

  get nodes(): ReadonlyMap<string, ModelNode> {
    return this.content.nodes
  }

  get sessions(): ReadonlyMap<number, ModelSession> {
    return this.content.sessions
  }

  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    return [...this.nodes.keys()]
      .filter((one) => one !== '/' && one.startsWith(prefix) && !one.slice(prefix.length).includes('/'))
      .map((one) => one.slice(prefix.length))
      .sort()
  }

  apply(update: Update, wallMs: number, pos: number): ModelUpdateResult {
    const zxid = ++this.zxid
    const before = structuredClone(this.content)
    try {
      return { zxid, ...this.run(update, wallMs, pos) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.content = before
      return { zxid, err: error.err }
    }
  }

  private run(update: Update, wallMs: number, pos: number): Omit<ModelUpdateResult, 'zxid'> {
    const { sessions } = this.content
    switch (update.kind) {
      case 'write':
        this.checkSession(update.requester)
        return this.operate(update.operation, update.requester, wallMs)
      case 'multi':
        this.checkSession(update.requester)
        return { err: 0, results: this.multi(update.operations, update.requester, wallMs) }
      case 'createSession': {
        const { timeoutMs, password } = update
        const session = { password: password.join(), timeoutMs, epoch: 1, renewedAt: pos }
        sessions.set(this.zxid, session)
        return { err: 0, session: { ...session, id: this.zxid } }
      }
      case 'moveSession': {
        const session = sessions.get(update.session)
        if (session?.password !== update.password.join()) throw new Refusal(-112)
        Object.assign(session, { timeoutMs: update.timeoutMs, epoch: session.epoch + 1, renewedAt: pos })
        return { err: 0, session: { ...session, id: update.session } }
      }
      case 'closeSession':
        if (!sessions.has(update.requester.session)) return { err: 0 }
        this.checkSession(update.requester)
        return this.end(update.requester.session)
      case 'announceMember':
      case 'countQuota':
      case 'endSession':
      case 'armTimers':
      case 'newHistory':
        throw new Error('the model has one history, and one server')
      case 'renewSessions':
        for (const { session: id, ownerEpoch } of update.sessions) {
          const session = sessions.get(id)
          if (session?.epoch === ownerEpoch) session.renewedAt = pos
        }
        return { err: 0 }
      case 'expireNode': {
        const { path, since, leftMs } = update
        const node = this.content.nodes.get(path)
        if (node?.lifetime === undefined) throw new Refusal(-103)
        if (since !== (node.lifetime.kind === 'ttl' ? node.mzxid : node.pzxid)) throw new Refusal(-103)
        if (leftMs === 0 && this.children(path).length === 0) this.drop(path)
        return { err: 0 }
      }
      case 'expireSession': {
        const session = sessions.get(update.session)
        if (session === undefined) throw new Refusal(-112)
        if (session.renewedAt > update.heardAt) throw new Refusal(-118)
        return this.end(update.session)
      }
    }
  }

  private checkSession(who: Requester): void {
    const session = this.content.sessions.get(who.session)
    if (session === undefined) throw new Refusal(-112)
    if (session.epoch !== who.ownerEpoch) throw new Refusal(-118)
  }

  private end(id: number): { err: number } {
    this.content.sessions.delete(id)
    for (const [path, node] of [...this.content.nodes]) if (node.owner === id) this.drop(path)
    return { err: 0 }
  }

  private multi(operations: readonly UpdateOperation[], who: Requester, wallMs: number): ModelResult[] {
    const before = structuredClone(this.content)
    const results: ModelResult[] = []
    for (const operation of operations) {
      try {
        results.push(structuredClone(this.operate(operation, who, wallMs)))
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        this.content = before
        const failed = results.length
        return operations.map((_, i) => ({ err: i < failed ? 0 : i === failed ? error.err : -2 }))
      }
    }
    return results
  }

  private operate(operation: UpdateOperation, who: Requester, wallMs: number): ModelResult {
    const { path } = operation
    switch (operation.op) {
      case 'create':
        return this.create(path, operation, who, wallMs)
      case 'delete': {
        if (!path.includes('/') || path.includes('\0') || path === '/') throw new Refusal(-8)
        if (['/zookeeper', '/zookeeper/quota', '/zookeeper/config'].includes(path)) throw new Refusal(-8)
        allow(this.find(parent(path)), 8, who)
        expectVersion(this.find(path).version, operation.version)
        if (this.children(path).length > 0) throw new Refusal(-111)
        this.drop(path)
        return { err: 0 }
      }
      case 'setData': {
        const node = this.validNode(path)
        allow(node, 2, who)
        expectVersion(node.version, operation.version)
        const data = text(operation.data)
        Object.assign(node, { data, version: node.version + 1, mzxid: this.zxid, mtime: wallMs })
        return { err: 0, node }
      }
      case 'setAcl': {
        if (!valid(path)) throw new Refusal(-8)
        const acl = fixup(operation.acl, who)
        const node = this.find(path)
        allow(node, 16, who)
        expectVersion(node.aversion, operation.version)
        Object.assign(node, { acl, aversion: node.aversion === -2 ? 0 : node.aversion + 1 })
        return { err: 0, node }
      }
      case 'check': {
        const node = this.validNode(path)
        allow(node, 1, who)
        expectVersion(node.version, operation.version)
        return { err: 0 }
      }
    }
  }

  private create(
    asked: string,
    operation: Extract<UpdateOperation, { op: 'create' }>,
    who: Requester,
    wallMs: number,
  ): ModelResult {
    if (!asked.includes('/') || asked.includes('\0')) throw new Refusal(-8)
    const acl = fixup(operation.acl, who)
    const above = this.find(parent(asked))
    allow(above, 4, who)
    const path = operation.flags & 2 ? asked + String(above.creates).padStart(10, '0') : asked
    if (!valid(path)) throw new Refusal(-8)
    if (this.content.nodes.has(path)) throw new Refusal(-110)
    if (above.owner !== 0) throw new Refusal(-108)
    const { zxid } = this
    const { lifetime } = operation
    if (lifetime?.ms === 0) throw new Refusal(-8)
    const owner = operation.flags & 1 && lifetime === undefined ? who.session : 0
    const stat = { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: wallMs, mtime: wallMs }
    const node = { ...FRESH, ...stat, data: text(operation.data), owner, lifetime, acl }
    this.content.nodes.set(path, node)
    above.creates++
    above.pzxid = zxid
    return { err: 0, path, node }
  }

  private drop(path: string): void {
    this.content.nodes.delete(path)
    this.find(parent(path)).pzxid = this.zxid
  }

  private find(path: string): ModelNode {
    const node = this.content.nodes.get(path)
    if (node === undefined) throw new Refusal(-101)
    return node
  }

  private validNode(path: string): ModelNode {
    if (!valid(path)) throw new Refusal(-8)
    return this.find(path)
  }
}

function parent(path: string): string {
  return path.split('/').slice(0, -1).join('/') || '/'
}

function valid(path: string): boolean {
  if (path === '/') return true
  const [first, ...names] = path.split('/')
  return (
    first === '' && names.length > 0 && names.every((name) => !['', '.', '..'].includes(name) && !name.includes('\0'))
  )
}

function text(data: Uint8Array | null): string | null {
  return data === null ? null : Buffer.from(data).toString('latin1')
}

function expectVersion(version: number, expected: number): void {
  if (expected !== -1 && expected !== version) throw new Refusal(-103)
}

function allow(node: ModelNode, perm: number, who: Requester): void {
  const all = [{ scheme: 'world', id: 'anyone' }, ...who.identities]
  const granted = node.acl.some((entry) => {
    return (entry.perms & perm) !== 0 && all.some((one) => one.scheme === entry.scheme && one.id === entry.id)
  })
  if (!granted && !who.identities.some((one) => one.scheme === 'super')) throw new Refusal(-102)
}

function fixup(acl: readonly Acl[], who: Requester): Acl[] {
  const result: Acl[] = []
  const seen = new Set<string>()
  for (const entry of acl) {
    const name = `${entry.perms} ${entry.scheme} ${entry.id}`
    if (seen.has(name)) continue
    seen.add(name)
    if (entry.scheme === 'auth') {
      const own = who.identities.filter((one) => one.scheme === 'digest')
      if (own.length === 0) throw new Refusal(-114)
      for (const one of own) result.push({ perms: entry.perms, scheme: one.scheme, id: one.id })
    } else if (entry.scheme === 'world' ? entry.id === 'anyone' : /^[^:]+:[^:]+$/.test(entry.id)) result.push(entry)
    else throw new Refusal(-114)
  }
  if (result.length === 0) throw new Refusal(-114)
  return result
}
