// Some ViewTracking engines over one log that is a list, each on a bottom whose durable cursor, digest and stalls a test sets by
// hand, and in time of its own that the test moves.

import { DelosError } from '../../src/base/delos-error.ts'
import type { PositionedDigest } from '../../src/engine/digest.ts'
import type { Applicator, Completion, Engine } from '../../src/engine/engine.ts'
import { encodeFlagChange, type FlagOutcome } from '../../src/engine/engine-flags.ts'
import type { EngineContext } from '../../src/engine/engine-layer.ts'
import { controlEntry, type Entry, entryOf } from '../../src/engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../src/engine/entry-codec.ts'
import {
  VIEW_TRACKING,
  ViewTrackingEngine,
  type ViewTrackingOptions,
} from '../../src/engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../src/log/position.ts'
import type { KeyRange, ReadWriteTx, Row, Savepoint } from '../../src/store/local-store.ts'
import { ManualTime } from '../../src/store/manual-time.ts'

/** A store without transactions: what fails here fails the test. */
export class MapTx implements ReadWriteTx {
  readonly rows = new Map<string, Uint8Array>()

  get(key: string): Uint8Array | undefined {
    return this.rows.get(key)
  }

  getMany(keys: readonly string[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.rows.get(key))
  }

  scan({ from, to }: KeyRange): Row[] {
    const inside = [...this.rows].filter(([key]) => key >= from && (to === undefined || key < to))
    return inside.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  put(key: string, value: Uint8Array): void {
    this.rows.set(key, value)
  }

  delete(key: string): void {
    this.rows.delete(key)
  }

  savepoint(): Savepoint {
    throw new Error('no savepoints here')
  }

  rollbackTo(): void {
    throw new Error('no savepoints here')
  }

  /** All rows, as text. */
  dump(): string[] {
    return this.scan({ from: '' }).map(([key, value]) => `${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`)
  }
}

export interface ViewServerOptions {
  readonly levels?: ReadonlyMap<string, number>
}

/** One server. Its durable cursor follows what it has applied when `flush` is called. */
export class ViewServer implements Engine<unknown>, Applicator<unknown> {
  readonly name: string
  readonly time = new ManualTime((callback) => queueMicrotask(callback))
  tx = new MapTx()
  engine!: ViewTrackingEngine
  /** First position not applied. */
  cursor = 0
  durable = 0
  digest: PositionedDigest | undefined
  /** Its clock stands still: neither timers nor apply. */
  paused = false
  /** It applies nothing, though its clock goes on. */
  stalled = false
  /** Its proposals don't reach the log, and nobody knows. */
  cutOff = false
  /** The database says at boot that it needs nothing of the log. */
  allowAll = true
  /** Passed down by the engine. */
  trimPrefix = 0
  /** Payloads that reached the database. */
  readonly payloads: string[] = []
  private readonly cluster: ViewCluster
  private readonly options: ViewTrackingOptions
  private above!: Applicator<unknown>
  private readonly waiting = new Map<number, Completion<unknown>>()

  constructor(cluster: ViewCluster, name: string, options: ViewTrackingOptions) {
    this.cluster = cluster
    this.name = name
    this.options = options
  }

  /** A new process on the same store: loads, plays the log, serves. */
  boot({ levels = LEVELS }: ViewServerOptions = {}): void {
    this.waiting.clear()
    this.paused = false
    this.trimPrefix = 0
    const context: EngineContext = {
      below: this,
      serverId: this.name,
      clock: this.time,
      timers: this.time,
      random: { uint32: () => 0, bytes: (length) => new Uint8Array(length) },
      membership: {
        missing: (tx, engine, level) => this.engine.providesMembership.missing(tx, engine, level),
        members: (tx) => this.engine.providesMembership.members(tx),
      },
      levels,
      maxEntryBytes: 1 << 20,
      timerService: undefined,
      durableCursor: () => this.durable as LogPos,
      read: () => this.tx,
      proposals: () => ({ waiting: this.waiting.size, answered: 0 }),
      lastDigest: () => this.digest,
      stopDatabase: (error) => {
        throw error
      },
    }
    this.engine = new ViewTrackingEngine(context, this.options)
    this.engine.registerUpcall({
      apply: (_tx, entry) => {
        if (entry.payload !== undefined) this.payloads.push(Buffer.from(entry.payload).toString())
        return this.payloads.length
      },
      postApply: () => undefined,
    })
    if (this.allowAll) this.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
    this.engine.load(this.tx)
    this.play()
    this.engine.serving()
    this.cluster.settle()
  }

  /** SIGKILL: what it proposed is never answered. */
  async kill(): Promise<void> {
    this.paused = true
    this.waiting.clear()
    await this.engine.stop()
  }

  flush(): void {
    this.durable = this.cursor
  }

  /** From the database. Resolved results and errors are dropped. */
  write(text: string): void {
    this.engine.propose(entryOf(Buffer.from(text)), { resolve: () => undefined, reject: () => undefined })
    this.cluster.settle()
  }

  enable(enabled = true): FlagOutcome | undefined {
    let outcome: FlagOutcome | undefined
    this.propose(controlEntry(VIEW_TRACKING, encodeFlagChange({ kind: 'flag', enabled }), true), {
      resolve: (result) => {
        outcome = result as FlagOutcome
      },
      reject: (error) => {
        throw error
      },
    })
    this.cluster.settle()
    return outcome
  }

  propose(entry: Entry, completion: Completion<unknown>): void {
    if (this.cutOff) {
      completion.reject(new DelosError('INDETERMINATE', 'cut off'))
      return
    }
    this.waiting.set(this.cluster.log.length, completion)
    this.cluster.log.push(encodeEntry(entry))
  }

  sync(): Promise<MapTx> {
    return Promise.resolve(this.tx)
  }

  registerUpcall(applicator: Applicator<unknown>): void {
    this.above = applicator
  }

  setTrimPrefix(pos: LogPos): void {
    this.trimPrefix = Math.max(this.trimPrefix, pos)
  }

  apply(): never {
    throw new Error('nothing is below')
  }

  postApply(): void {
    throw new Error('nothing is below')
  }

  /** Applies what is in the log. True if there was something. */
  play(): boolean {
    const from = this.cursor
    while (this.cursor < this.cluster.log.length) {
      const pos = this.cursor as LogPos
      const entry = decodeEntry(this.cluster.log[pos] as Uint8Array)
      const result = this.above.apply(this.tx, entry, pos)
      this.cursor = pos + 1
      this.above.postApply(entry, pos, result)
      const completion = this.waiting.get(pos)
      this.waiting.delete(pos)
      completion?.resolve(result)
    }
    return this.cursor > from
  }
}

export class ViewCluster {
  readonly log: Uint8Array[] = []
  readonly servers: ViewServer[] = []
  private readonly options: ViewTrackingOptions

  constructor(options: ViewTrackingOptions = { heartbeatMs: 5_000, silentMs: 60_000 }) {
    this.options = options
  }

  /** A server that has not been booted. */
  add(name: string): ViewServer {
    const server = new ViewServer(this, name, this.options)
    this.servers.push(server)
    return server
  }

  /** Plays the log everywhere until nothing moves. */
  settle(): void {
    while (
      this.servers.some((server) => !server.paused && !server.stalled && server.engine !== undefined && server.play())
    );
  }

  /** Time passes for all that are not paused, half a second at a time; `each` is called after every step. */
  advance(ms: number, each: () => void = () => undefined): void {
    for (let left = ms; left > 0; left -= 500) {
      for (const server of this.servers) if (!server.paused) server.time.advance(Math.min(left, 500))
      this.settle()
      each()
    }
  }

  flush(): void {
    for (const server of this.servers) if (!server.paused) server.flush()
  }

  /** The headers of ViewTracking from position `from` on. */
  headers(from = 0): Uint8Array[] {
    return this.log.slice(from).flatMap((bytes) => decodeEntry(bytes).headers.get(VIEW_TRACKING)?.bytes ?? [])
  }
}

/** What the builds of these servers know unless a test says otherwise. */
export const LEVELS: ReadonlyMap<string, number> = new Map([
  ['base', 0],
  [VIEW_TRACKING, 0],
  ['batching', 0],
])

/** Servers that serve, with the engine enabled and everybody in the view. */
export function clusterOf(...names: string[]): { cluster: ViewCluster; servers: ViewServer[] } {
  const cluster = new ViewCluster()
  const servers = names.map((name) => cluster.add(name))
  for (const server of servers) server.boot()
  servers[0]?.enable()
  return { cluster, servers }
}
