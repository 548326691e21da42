// What the generator knows of the round's tree from the reference's replies: enough to ask for things that exist, with versions that
// are right. It may be behind; then a request fails, which is as good.

import type { Acl, Stat } from '../support/jute.ts'
import type { SeenBySlot } from './side.ts'
import type { Request } from './steps.ts'

export interface KnownNode {
  version: number
  aversion: number
  isEphemeral: boolean
  /** Whether everybody may read it. */
  isOpen: boolean
  readonly children: Set<string>
}

export class KnownTree {
  private readonly nodes = new Map<string, KnownNode>()
  private readonly root: string

  constructor(root: string) {
    this.root = root
  }

  get paths(): readonly string[] {
    return [...this.nodes.keys()]
  }

  get size(): number {
    return this.nodes.size
  }

  get(path: string): KnownNode | undefined {
    return this.nodes.get(path)
  }

  learn(seen: SeenBySlot): void {
    for (const one of [...seen.values()].flat()) {
      if (one.kind === 'event' && one.type === 2) this.remove(this.relative(one.path))
      if (one.kind !== 'reply') continue
      if (one.request.op === 'multi' && one.err === 0)
        this.learnMulti(one.request.ops, one.fields.results as readonly Result[])
      else this.learnReply(one.request, one.err, one.fields)
    }
  }

  private learnMulti(ops: readonly Request[], results: readonly Result[]): void {
    if (results[0]?.type === -1) return
    for (const [index, op] of ops.entries()) this.learnReply(op, 0, results[index] ?? {})
  }

  private learnReply(request: Request, err: number, fields: { readonly [name: string]: unknown }): void {
    // What is appended does no harm.
    if (!('path' in request) || (request.damage !== undefined && request.damage.kind !== 'append')) return
    if (err === -101) return this.remove(request.path)
    if (err !== 0) return
    const stat = fields.stat as Stat | undefined
    switch (request.op) {
      case 'create':
      case 'create2':
      case 'createContainer':
      case 'createTTL':
        return this.add(
          this.relative(fields.path as string),
          (request.flags & 1) === 1 && request.flags < 4,
          isOpen(request.acl),
        )
      case 'delete':
      case 'deleteContainer':
        return this.remove(request.path)
      case 'setACL': {
        const node = this.nodes.get(request.path)
        if (node !== undefined) node.isOpen = isOpen(request.acl)
        if (stat !== undefined) this.put(request.path, stat)
        return
      }
      case 'setData':
      case 'exists':
      case 'getData':
      case 'getACL':
      case 'getChildren2':
        if (stat !== undefined) this.put(request.path, stat)
    }
  }

  private put(path: string, stat: Stat): void {
    const node = this.nodes.get(path)
    if (node === undefined) return
    node.version = stat.version
    node.aversion = stat.aversion
  }

  private add(path: string, isEphemeral: boolean, isOpen: boolean): void {
    // Quotas and ZooKeeper's own nodes are for those requests that name them.
    if (!path.startsWith('$')) return
    this.nodes.set(path, { version: 0, aversion: 0, isEphemeral, isOpen, children: new Set() })
    this.nodes.get(parentOf(path))?.children.add(path)
  }

  private remove(path: string): void {
    this.nodes.delete(path)
    this.nodes.get(parentOf(path))?.children.delete(path)
  }

  private relative(path: string): string {
    return path.startsWith(this.root) ? `$${path.slice(this.root.length)}` : path
  }
}

interface Result {
  readonly type?: number
  readonly [name: string]: unknown
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function isOpen(acl: readonly Acl[]): boolean {
  return acl.some(({ perms, scheme }) => (perms & 1) === 1 && scheme === 'world')
}
