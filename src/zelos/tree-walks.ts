// Reads that look at many nodes: one at a time, a slice of it a turn of the event loop, so that however many are asked for and
// however large the tree is, everybody else waits for a slice at most.

import { DelosError } from '../base/delos-error.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'
import { type CommittedReads, tooManyChildren } from './committed-reads.ts'
import type { Requester } from './requests.ts'
import { dataLengthOf } from './tree/cached-node.ts'
import { ChildrenWalk } from './tree/children-walk.ts'
import { ROOT } from './tree/node-path.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import { DescendantCount, EphemeralPaths, type Walk } from './tree/tree-walk.ts'
import type { Watches } from './watches.ts'
import type { ChildrenResult, WalkCompletion, WatchSink, ZelosWalks } from './zelos.ts'
import type { ZelosApplicator } from './zelos-applicator.ts'
import type { ZCode } from './znode.ts'

/** Of a walk, before others have their turn. */
const SLICE_MS = 2
/** Looked at before the clock is. */
const STEP_ROWS = 250
/** Children: some 3 ms. */
const LISTED_AT_ONCE = 5_000

interface Waiting {
  readonly walk: Walk
  readonly isWanted: () => boolean
  readonly done: () => void
  readonly reject: (error: DelosError) => void
}

export interface TreeWalksContext {
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>
  readonly applicator: ZelosApplicator
  readonly store: { read(): ReadTx }
  readonly reads: CommittedReads
  readonly watches: Watches
}

export class TreeWalks implements ZelosWalks {
  private readonly context: TreeWalksContext
  /** Those under way, the oldest first: at most one a connection. */
  private waiting: Waiting[] = []
  private inSlice = false

  constructor(context: TreeWalksContext) {
    this.context = context
  }

  countDescendants(
    requester: Requester,
    path: string,
    completion: WalkCompletion<{ readonly count: number } | ZCode>,
  ): void {
    const { applicator, reads, store } = this.context
    const node = reads.getData(requester, path)
    if (typeof node === 'number') return completion.resolve(node)
    // ZooKeeper counts the paths that start with this one and a slash: by its other name the root counts itself.
    const { nodes } = applicator.counters(store.read())
    if (path === '') return completion.resolve({ count: nodes })
    if (path === ROOT) return completion.resolve({ count: nodes - 1 })
    if (node.numChildren === 0) return completion.resolve({ count: 0 })
    const walk = new DescendantCount(path)
    this.start(walk, completion, () => completion.resolve({ count: walk.count }))
  }

  getEphemerals(
    { session }: Requester,
    prefix: string,
    maxBytes: number,
    completion: WalkCompletion<readonly string[]>,
  ): void {
    const walk = new EphemeralPaths(session, prefix, maxBytes)
    this.start(walk, completion, () => {
      if (walk.isTooMuch) {
        const error = new DelosError('LIMIT_EXCEEDED', `the paths of ephemeral nodes have more than ${maxBytes} bytes`)
        completion.reject(error)
      } else completion.resolve(walk.paths)
    })
  }

  isLong(path: string): boolean {
    return this.childCount(path) > LISTED_AT_ONCE
  }

  childCount(path: string): number {
    return this.context.reads.node(path)?.numChildren ?? 0
  }

  dataBytes(path: string): number {
    const node = this.context.reads.node(path)
    return node === undefined ? 0 : dataLengthOf(node)
  }

  getChildren(
    requester: Requester,
    path: string,
    watch: WatchSink | undefined,
    maxBytes: number,
    completion: WalkCompletion<ChildrenResult | ZCode>,
  ): void {
    const { reads } = this.context
    const refused = reads.getData(requester, path)
    if (typeof refused === 'number') return completion.resolve(refused)
    const walk = new ChildrenWalk(path === '' ? ROOT : path, maxBytes)
    this.start(walk, completion, () => {
      // As it is now, which is what the names show; it may have gone.
      const node = reads.getData(requester, path)
      if (typeof node === 'number') return completion.resolve(node)
      if (walk.isTooMuch) return completion.reject(tooManyChildren(path, node, maxBytes))
      try {
        if (watch !== undefined) this.context.watches.add('child', path, watch)
      } catch (error) {
        return completion.reject(DelosError.from(error, 'STOPPED', 'a watch'))
      }
      completion.resolve({ children: walk.names(), node })
    })
  }

  /** Of a commit, in order. However many wait: what has not begun has seen nothing yet. */
  changed(changes: readonly TreeChange[]): void {
    const walk = this.waiting[0]?.walk
    if (walk?.changed === undefined) return
    for (let i = 0; i < changes.length; i++) walk.changed(changes[i] as TreeChange)
  }

  /** Begins with the walk, or after those before it. A short one is done at once. */
  start(walk: Walk, completion: WalkCompletion<never>, done: () => void): void {
    const isWanted = () => completion.isWanted
    this.waiting.push({ walk, isWanted, done, reject: (error) => completion.reject(error) })
    // Most are short, and end here.
    if (this.waiting.length === 1 && !this.inSlice) this.slice()
  }

  private readonly slice = (): void => {
    this.inSlice = true
    try {
      this.waiting = this.waiting.filter(({ isWanted }) => isWanted())
      const [first] = this.waiting
      if (first !== undefined) this.advance(first)
    } finally {
      // Whatever one of them throws, the others go on.
      this.inSlice = false
      if (this.waiting.length > 0) this.context.runtime.timers.soon(this.slice)
    }
  }

  private advance(one: Waiting): void {
    let isDone: boolean
    try {
      isDone = this.stepped(one.walk)
    } catch (error) {
      this.waiting.shift()
      return one.reject(DelosError.from(error, 'STOPPED', 'a look at many nodes'))
    }
    if (!isDone) return
    this.waiting.shift()
    one.done()
  }

  private stepped(walk: Walk): boolean {
    const { runtime, store } = this.context
    const end = runtime.clock.monotonicMs() + SLICE_MS
    const reader = store.read()
    do {
      if (walk.step(reader, STEP_ROWS)) return true
    } while (runtime.clock.monotonicMs() < end)
    return false
  }
}
