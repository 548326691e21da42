// Draws the steps of one round from a seed: few names so that requests meet, mostly what can succeed, and a share of all that
// can be wrong. What it asks next may depend on what the reference answered before, never on the other server.

import type { Acl } from '../support/jute.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { hasModeWithoutTtl } from './allowed.ts'
import { BAD_PATHS, type Chances, DRAWS, type Draw, EMPTY_PATH, OPEN, USERS } from './draws.ts'
import { KnownTree } from './known-tree.ts'
import type { SeenBySlot } from './side.ts'
import type { Damage, Request, Step } from './steps.ts'

const NAMES = ['a', 'b', 'c']
const DEPTH_MAX = 4
const NODES_MAX = 40
const SESSION_MS = 60_000

/** Below this one there may be a quota. */
const QUOTA = 'b'
/** Slot 0 stays, so that somebody sees the ends of the others. */
const OBSERVER = 0
const SLOTS = 6
/**
 * Only these have persistent and recursive watches, and no others: before 3.9.0 a connection's watches of several modes on one path
 * disturb each other (ZOOKEEPER-4466).
 */
const PERSISTENT = 3
const RECURSIVE = 4
/** Whose session runs out. */
const SHORT = 10
const SHORT_MS = 1_000

type Weighted = readonly [weight: number, draw: Draw]

export class Generator implements Chances {
  readonly tree: KnownTree
  private readonly random: SeededRandom
  private readonly digests: readonly string[]
  private readonly hasQuota: boolean
  private readonly draws: readonly Weighted[]
  private readonly weight: number
  private readonly open = new Set<number>()
  private readonly cut = new Set<number>()
  private readonly first: Step[]
  /** Paths that each slot has watched lately. */
  private readonly watched = new Map<number, string[]>()

  /** `hasQuota`: one request at a time, as ZooKeeper compares with what was applied when a request arrives. */
  constructor(random: SeededRandom, root: string, hasQuota: boolean, digests: readonly string[]) {
    this.random = random
    this.tree = new KnownTree(root)
    this.digests = digests
    this.hasQuota = hasQuota
    this.draws = DRAWS.map(([weight, , draw]) => [weight, draw])
    this.weight = this.draws.reduce((sum, [weight]) => sum + weight, 0)
    this.first = this.opening()
  }

  /** A step was begun that the next one ends. */
  get mustGoOn(): boolean {
    return this.first.length > 0
  }

  next(): Step {
    const first = this.first.shift()
    if (first !== undefined) return first
    const { random } = this
    const slot = random.below(SLOTS)
    if (this.cut.has(slot)) return this.comeBack(slot)
    if (!this.open.has(slot)) return this.opens(slot)
    if (slot !== OBSERVER) {
      if (random.chance(0.01)) return { do: 'cut', slot }
      if (random.chance(0.004)) return this.reopen(slot)
      if (random.chance(0.01)) return { do: 'ask', slot, requests: [{ op: 'closeSession' }] }
      if (random.chance(0.01)) return { do: 'ask', slot, requests: [this.unknown()] }
      if (random.chance(0.004))
        return { do: 'bytes', slot, hex: random.pick(['ffffffff', '80000000', '7fffffff', '00100000']) }
    }
    if (slot !== OBSERVER && random.chance(0.02)) return this.internal(slot)
    if (random.chance(0.04)) return { do: 'ask', slot, requests: [this.auth()] }
    return { do: 'ask', slot, requests: this.requests(slot, this.hasQuota ? 1 : random.between(1, 20)) }
  }

  /** Takes notice of what the reference showed. */
  learn(step: Step, seen: SeenBySlot): void {
    this.tree.learn(seen)
    if (step.do === 'open') this.open.add(step.slot)
    if (step.do === 'cut') this.cut.add(step.slot)
    for (const [slot, all] of seen) {
      const session = all.findLast((one) => one.kind === 'session')
      if (session !== undefined && session.fields.timeoutMs !== 0) {
        this.open.add(slot)
        this.cut.delete(slot)
      }
      if (all.at(-1)?.kind !== 'closed' && all.at(-1)?.kind !== 'silence') continue
      const isGone =
        session?.fields.timeoutMs === 0 || all.some((one) => one.kind === 'reply' && one.request.op === 'closeSession')
      this.open.delete(slot)
      this.cut.delete(slot)
      if (!isGone && slot < SLOTS) this.cut.add(slot)
    }
  }

  /** A session that runs out, with nodes that somebody watches. */
  expiry(): Step[] {
    const creation = { data: '', acl: OPEN, flags: 1 }
    const nodes = ['$/short', `$/${this.random.pick(NAMES)}/short`, `$/${this.random.pick(NAMES)}/short`]
    const creates: Request[] = nodes.map((path) => ({ op: 'create', path, ...creation }))
    const watches: Request[] = nodes.map((path) => ({ op: 'exists', path, watch: true }))
    return [
      { do: 'open', slot: SHORT, timeoutMs: SHORT_MS, readOnly: false },
      { do: 'ask', slot: SHORT, requests: creates },
      { do: 'ask', slot: OBSERVER, requests: [...watches, { op: 'getChildren', path: '$', watch: true }] },
      { do: 'expire', slots: [SHORT], nodes: ['$/short'], observer: OBSERVER },
      { do: 'reopen', slot: SHORT, seen: 'cut', wrongPassword: false },
    ]
  }

  /** Everything that there is, so that the whole of both trees is compared. */
  inventory(): Step[] {
    const steps: Step[] = [{ do: 'open', slot: 20, timeoutMs: SESSION_MS, readOnly: false }]
    steps.push({ do: 'ask', slot: 20, requests: [{ op: 'auth', scheme: 'digest', auth: 'super:admin' }] })
    const quota = ['', '/zookeeper_limits', '/zookeeper_stats'].map((name) => `%/${QUOTA}${name}`)
    for (const path of ['$', ...this.tree.paths, ...quota]) {
      const requests: Request[] = [{ op: 'getACL', path }]
      requests.push({ op: 'getData', path, watch: false }, { op: 'getChildren2', path, watch: false })
      steps.push({ do: 'ask', slot: 20, requests })
    }
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.open.has(slot) && !this.cut.has(slot))
        steps.push({ do: 'ask', slot, requests: [{ op: 'closeSession' }] })
    }
    steps.push({ do: 'ask', slot: 20, requests: [{ op: 'getChildren2', path: '$', watch: false }] })
    steps.push({ do: 'ask', slot: 20, requests: [{ op: 'closeSession' }] })
    return steps
  }

  // ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private opening(): Step[] {
    const steps: Step[] = [this.opens(OBSERVER), this.opens(1), this.opens(2)]
    const creation = { data: '', acl: OPEN, flags: 0 }
    const requests: Request[] = ['$', ...NAMES.map((name) => `$/${name}`)].map((path) => ({
      op: 'create',
      path,
      ...creation,
    }))
    steps.push({ do: 'ask', slot: OBSERVER, requests })
    const limits: Request[] = ['%', `%/${QUOTA}`].map((path) => ({ op: 'create', path, ...creation }))
    limits.push({ op: 'create', path: `%/${QUOTA}/zookeeper_limits`, ...creation, data: this.limits() })
    limits.push({ op: 'create', path: `%/${QUOTA}/zookeeper_stats`, ...creation, data: 'count=0,bytes=0' })
    if (this.hasQuota) steps.push({ do: 'ask', slot: OBSERVER, requests: limits })
    return steps
  }

  private limits(): string {
    const count = this.random.pick([-1, 2, 3, 5])
    const bytes = this.random.pick([-1, 5, 20])
    return `count=${count},bytes=${bytes}=;byteHardLimit=${bytes};countHardLimit=${count}`
  }

  private opens(slot: number): Step {
    const { random } = this
    const timeoutMs = slot === OBSERVER ? SESSION_MS : random.pick([30_000, SESSION_MS, 600_000])
    return { do: 'open', slot, timeoutMs, readOnly: random.pick([false, false, true, 'omit']) }
  }

  private reopen(slot: number): Step {
    const { random } = this
    const seen = random.chance(0.2) ? 'future' : random.pick(['zero', 'cut', 'cut'] as const)
    return { do: 'reopen', slot, seen, wrongPassword: random.chance(0.15) }
  }

  private comeBack(slot: number): Step {
    return this.random.chance(0.8) ? this.reopen(slot) : this.opens(slot)
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  requests(slot: number, count: number): Request[] {
    const requests = Array.from({ length: count }, () => this.maybeDamaged(this.watching(slot, this.request())))
    for (const request of requests) this.remember(slot, request)
    // Before its reply, ZooKeeper checks what follows a setACL by the old ACL, and what follows a multi that it can't read as if the
    // first operations of that had been carried out.
    const last = requests.findIndex((request) => request.op === 'setACL' || hasModeWithoutTtl(request))
    if (last >= 0) requests.length = last + 1
    // Which nodes everybody may read must be known before watches come back, and what persistent ones have missed is told at once.
    const alone = requests.findLast(({ op }) => op === 'setWatches' || op === 'setWatches2')
    return alone === undefined ? requests : [alone]
  }

  private remember(slot: number, request: Request): void {
    const isWatch = request.op === 'addWatch' || ('watch' in request && request.watch)
    if (!isWatch || !('path' in request)) return
    this.watched.set(slot, [request.path, ...(this.watched.get(slot) ?? [])].slice(0, 6))
  }

  /** The request with only such watches as the slot may have. */
  private watching(slot: number, request: Request): Request {
    const isPersistent = slot === PERSISTENT || slot === RECURSIVE
    // Each operation of a multi is compared with the same use of the quota, too.
    if (request.op === 'multi' && this.hasQuota) return { ...request, ops: request.ops.slice(0, 1) }
    switch (request.op) {
      case 'exists':
      case 'getData':
      case 'getChildren':
      case 'getChildren2':
        return isPersistent ? { ...request, watch: false } : request
      case 'checkWatches':
      case 'removeWatches': {
        const paths = this.watched.get(slot)
        const path = paths !== undefined && this.random.chance(0.7) ? this.random.pick(paths) : request.path
        const type = isPersistent && request.type < 3 && request.type > 0 ? 3 : request.type
        return { ...request, path, type }
      }
      case 'addWatch': {
        const isRefused = request.mode !== 0 && request.mode !== 1
        if (isPersistent) return isRefused ? request : { ...request, mode: slot === PERSISTENT ? 0 : 1 }
        return isRefused ? request : { op: 'getData', path: request.path, watch: true }
      }
      case 'setWatches':
        return isPersistent ? { ...request, data: [], exist: [], child: [] } : request
      case 'setWatches2': {
        if (!isPersistent) return { ...request, persistent: [], recursive: [] }
        const { persistent, recursive } = request
        const lists = slot === PERSISTENT ? { persistent, recursive: [] } : { persistent: [], recursive }
        return { ...request, data: [], exist: [], child: [], ...lists }
      }
      default:
        return request
    }
  }

  request(): Request {
    let at = (this.random.uint32() / 2 ** 32) * this.weight
    for (const [weight, draw] of this.draws) {
      at -= weight
      if (at < 0) return draw(this)
    }
    throw new Error('no draw')
  }

  private maybeDamaged(request: Request): Request {
    const { random } = this
    if (request.op === 'closeSession' || request.op === 'ping' || !random.chance(0.015)) return request
    const damage = random.pick<Damage>([
      { kind: 'keep', bytes: 0 },
      { kind: 'keep', bytes: random.below(12) },
      { kind: 'append', hex: '00ff00' },
      ...(request.op === 'getAllChildrenNumber' ? [] : [EMPTY_PATH]),
      // A null path, a length below null, one that is too long.
      { kind: 'patch', at: 0, hex: 'ffffffff' },
      { kind: 'patch', at: 0, hex: 'fffffffe' },
      { kind: 'patch', at: 0, hex: '7fffffff' },
    ])
    return { ...request, damage }
  }

  /** Ends the connection. */
  private unknown(): Request {
    const opcode = this.random.pick([0, 10, 23, 99, 108, -1, -12, 1000, 2 ** 31 - 1])
    return { op: 'check', path: '$', version: 0, opcode }
  }

  /** What no client may ask for. Zelos ends the connection, so both connections end. */
  private internal(slot: number): Step {
    this.first.push({ do: 'cut', slot })
    const path = '$/never'
    const request = this.random.pick<Request>([
      { op: 'deleteContainer', path },
      { op: 'check', path, version: -1 },
      { op: 'createSession', timeoutMs: SESSION_MS },
    ])
    return { do: 'ask', slot, requests: [request] }
  }

  /** Alone, as ZooKeeper answers it before what is under way. */
  private auth(): Request {
    const { random } = this
    // Without users for it the answer is empty; an exchange has its nonces, and tests of its own.
    if (random.chance(0.3)) return { op: 'sasl', token: random.pick(['', 'x', 'username="amy",realm="zk-sasl-md5"']) }
    if (random.chance(0.35)) return { op: 'auth', scheme: 'digest', auth: random.pick(USERS) }
    return random.pick<Request>([
      { op: 'auth', scheme: 'digest', auth: 'super:admin' },
      { op: 'auth', scheme: 'digest', auth: 'super:wrong' },
      { op: 'auth', scheme: 'digest', auth: 'nocolon' },
      { op: 'auth', scheme: 'digest', auth: '' },
      { op: 'auth', scheme: 'ip', auth: '127.0.0.1' },
      { op: 'auth', scheme: 'ip', auth: '' },
      { op: 'auth', scheme: 'telepathy', auth: 'x' },
      { op: 'auth', scheme: 'world', auth: 'anyone' },
    ])
  }

  // ── parts of requests ─────────────────────────────────────────────────────────────────────────────────────────────────

  below(bound: number): number {
    return this.random.below(bound)
  }

  chance(probability: number): boolean {
    return this.random.chance(probability)
  }

  pick<T>(items: readonly T[]): T {
    return this.random.pick(items)
  }

  /** Of a node that exists, most of the time. */
  path(): string {
    const { random, tree } = this
    if (random.chance(0.02)) return random.pick(BAD_PATHS)
    if (tree.size > 0 && random.chance(0.85)) return random.pick(tree.paths)
    return this.anyPath()
  }

  anyPath(): string {
    let path = '$'
    for (let depth = this.random.between(1, DEPTH_MAX); depth > 0; depth--) path += `/${this.random.pick(NAMES)}`
    return path
  }

  /** Of a node to be made. */
  newPath(): string {
    const { random, tree } = this
    if (random.chance(0.04)) return random.pick(BAD_PATHS)
    if (random.chance(0.1)) return this.anyPath()
    const parents = tree.paths.filter(
      (path) => path.split('/').length <= DEPTH_MAX && (random.chance(0.1) || tree.get(path)?.isEphemeral === false),
    )
    const parent =
      this.hasQuota && random.chance(0.5) ? `$/${QUOTA}` : parents.length === 0 ? '$' : random.pick(parents)
    const free = NAMES.map((name) => `${parent}/${name}`).filter((path) => tree.get(path) === undefined)
    return free.length > 0 && random.chance(0.8) ? random.pick(free) : `${parent}/${random.pick(NAMES)}`
  }

  /** Of a node to be deleted: rather a leaf, and never the round's own. */
  oldPath(): string {
    const { random, tree } = this
    if (random.chance(0.03)) return random.pick(BAD_PATHS)
    const leaves = tree.paths.filter((path) => path.split('/').length > 2 && tree.get(path)?.children.size === 0)
    if (leaves.length > 0 && random.chance(0.7)) return random.pick(leaves)
    return this.anyPath()
  }

  version(path: string, of: 'version' | 'aversion' = 'version'): number {
    const { random } = this
    if (random.chance(0.55)) return -1
    const known = this.tree.get(path)
    if (known !== undefined && random.chance(0.7)) return known[of]
    return random.pick([0, 1, 2, 3, -2, 2 ** 31 - 1])
  }

  data(): string | null {
    const { random } = this
    if (random.chance(0.05)) return null
    return random.chance(0.02) ? 'x'.repeat(random.between(1000, 5000)) : random.pick(['', 'x', 'data', '\u00e9\u4e2d'])
  }

  acl(): readonly Acl[] {
    const { random } = this
    if (random.chance(0.7)) return OPEN
    const entries = Array.from({ length: random.pick([0, 1, 1, 1, 1, 2, 2, 3]) }, () => this.aclEntry())
    return random.chance(0.05) && entries[0] !== undefined ? [...entries, entries[0]] : entries
  }

  private aclEntry(): Acl {
    const { random } = this
    const perms = random.chance(0.6) ? 31 : random.pick([0, 1, 2, 4, 8, 16, 27, 29, 30, 15, 63, -1])
    const [scheme, id] = random.pick<readonly [string, string]>([
      ['world', 'anyone'],
      ['world', 'anyone'],
      ['auth', ''],
      ['auth', ''],
      ['auth', 'ignored'],
      ...this.digests.map((digest) => ['digest', digest] as const),
      ['ip', '127.0.0.1'],
      ['ip', '127.0.0.0/8'],
      ['ip', '10.1.2.3'],
      random.pick<readonly [string, string]>([
        ['world', 'other'],
        ['ip', '1.2.3'],
        ['ip', '10.0.0.0/33'],
        ['digest', 'nocolon'],
        ['digest', 'a:b:c'],
        ['telepathy', 'x'],
        ['', ''],
      ]),
    ])
    return { perms, scheme, id }
  }

  /** Full trees are cut back, empty ones grow. */
  isFull(): boolean {
    return this.tree.size > NODES_MAX
  }

  some(path: () => string, max: number): string[] {
    return Array.from({ length: this.random.below(max + 1) }, path)
  }
}
