// Batching: BrainDoctor, SessionOrder and ViewTracking, where present, must be below. Many proposals travel in one entry
// and are applied in one transaction; each keeps its own headers, result and postApply. No replicated state.
//
// Waits for nothing at low load: proposals of one synchronous section that find no batch in flight leave at its end; what
// arrives while one is in flight forms the next.

import { assert } from '../base/assert.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import { type EngineContext, EngineLayer, refuseUnknownHeaders } from '../engine/engine-layer.ts'
import { type Entry, type Header, NO_HEADERS, withHeader } from '../engine/entry.ts'
import type { EngineFactory } from '../engine/stack.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadWriteTx } from '../store/local-store.ts'
import { batchMarker, partSizeBound, readBatch, writePart } from './batch-codec.ts'

export const BATCHING = 'batching'

export interface BatchingLimits {
  /** Proposals in one batch. */
  readonly batchCountMax: number
  /** Bytes of one batch; a larger proposal goes alone. */
  readonly batchBytesMax: number
  /** Batches between propose and result. 1 keeps their order also where the log would not. */
  readonly inFlightMax: number
  /** Proposals that wait for a batch in flight; OVERLOADED past it. */
  readonly waitingCountMax: number
  readonly waitingBytesMax: number
}

export const BATCHING_LIMITS: BatchingLimits = {
  batchCountMax: 1000,
  batchBytesMax: 1024 * 1024,
  inFlightMax: 1,
  waitingCountMax: 100_000,
  waitingBytesMax: 64 * 1024 * 1024,
}

// What marker, stamp and framing of a batch entry take at most.
const ENTRY_OVERHEAD_BYTES = 512

export function batchingEngine(limits: Partial<BatchingLimits> = {}): EngineFactory {
  return {
    name: BATCHING,
    levelMax: 0,
    neighbours: { notBelow: ['brain-doctor', 'session-order', 'view-tracking'] },
    create: (context) => new BatchingEngine(context, { ...BATCHING_LIMITS, ...limits }),
  }
}

/** What apply of a batch returned: one result per part, in order. */
class BatchResult {
  readonly parts: readonly Entry[]
  readonly results: readonly unknown[]

  constructor(parts: readonly Entry[], results: readonly unknown[]) {
    this.parts = parts
    this.results = results
  }
}

export class BatchingEngine extends EngineLayer {
  private readonly limits: BatchingLimits
  /** Full batches that wait, oldest first; then the one that is being filled. */
  private readonly ready: Batch[] = []
  private open: Batch
  private inFlight = 0
  private waitingCount = 0
  private waitingBytes = 0
  /** A departure at the end of this synchronous section is planned. */
  private planned = false
  private departing = false
  private closed = false
  /** Size of the last batch: what the next one's buffer begins with. */
  private lastBytes = 4096
  private readonly depart = (): void => {
    this.planned = false
    this.departUpTo(this.limits.inFlightMax)
  }

  constructor(context: EngineContext, limits: BatchingLimits) {
    super(BATCHING, context)
    const batchBytesMax = Math.min(limits.batchBytesMax, context.maxEntryBytes - ENTRY_OVERHEAD_BYTES)
    this.limits = { ...limits, batchBytesMax }
    this.open = new Batch(this, this.lastBytes)
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (!this.flags.enabled) {
      // What was proposed before the switch was turned goes first, all of it: nothing gathers any more.
      if (this.waitingCount > 0) this.departUpTo(Number.POSITIVE_INFINITY)
      this.below.propose(entry, completion)
      return
    }
    const bytes = partSizeBound(entry)
    const refusal = this.closed ? closedError() : this.overload(bytes)
    if (refusal !== undefined) {
      completion.reject(refusal)
      return
    }
    if (!this.open.hasRoomFor(bytes, this.limits)) this.closeOpen()
    this.open.add(entry, completion)
    this.waitingCount++
    this.waitingBytes += bytes
    if (this.planned || this.inFlight >= this.limits.inFlightMax) return
    this.planned = true
    queueMicrotask(this.depart)
  }

  /** A batch came back, either way. Called by Batch before it tells its proposers. */
  landed(): void {
    this.inFlight--
    this.departUpTo(this.limits.inFlightMax)
  }

  override async stop(): Promise<void> {
    this.closed = true
    const waiting = [...this.ready, this.open]
    this.ready.length = 0
    this.open = new Batch(this, 0)
    this.waitingCount = 0
    this.waitingBytes = 0
    for (const batch of waiting) batch.rejectUnsent(closedError())
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    return entry.headers.has(BATCHING) ? super.apply(tx, entry, pos) : this.above.apply(tx, entry, pos)
  }

  override postApply(entry: Entry, pos: LogPos, result: unknown): void {
    if (entry.headers.has(BATCHING)) super.postApply(entry, pos, result)
    else this.above.postApply(entry, pos, result)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    assert(own !== undefined, 'an entry with a header of Batching')
    // A batch is a batch also where this engine is disabled.
    if (entry.payload === undefined) throw new DelosError('CORRUPT', 'a batch without payload')
    const parts = readBatch(own.bytes, entry.payload)
    const results = new Array<unknown>(parts.length)
    let i = 0
    try {
      for (; i < parts.length; i++) results[i] = this.applyPart(tx, parts[i] as Entry, pos)
    } catch (thrown) {
      // Ends the database: say which part.
      const code = thrown instanceof DelosError ? thrown.code : 'STOPPED'
      const reason = thrown instanceof Error ? thrown.message : String(thrown)
      throw new DelosError(code, `part ${i} of ${parts.length}: ${reason}`, { cause: thrown })
    }
    return new BatchResult(parts, results)
  }

  protected override afterCommit(_entry: Entry, pos: LogPos, result: unknown): void {
    assert(result instanceof BatchResult, 'the result of a batch comes back as apply returned it')
    const { parts, results } = result
    const { above } = this
    for (let i = 0; i < parts.length; i++) above.postApply(parts[i] as Entry, pos, results[i])
  }

  private applyPart(tx: ReadWriteTx, part: Entry, pos: LogPos): unknown {
    if (part.headers.size > 0) refuseUnknownHeaders(part, this.context.levels)
    return this.above.apply(tx, part, pos)
  }

  // A batch that is refused at once lands within its own departure. The loop then goes on: whoever waited longest is told
  // first, and calls don't nest, however many wait.
  private departUpTo(inFlightMax: number): void {
    if (this.departing) return
    this.departing = true
    while (this.inFlight < inFlightMax && this.waitingCount > 0) {
      if (this.ready.length === 0) this.closeOpen()
      const batch = this.ready.shift() as Batch
      this.waitingCount -= batch.count
      this.waitingBytes -= batch.bytesBound
      this.inFlight++
      this.lastBytes = batch.bytesBound
      this.below.propose(batch.toEntry(), batch)
    }
    this.departing = false
  }

  private closeOpen(): void {
    this.ready.push(this.open)
    this.open = new Batch(this, this.lastBytes)
  }

  private overload(bytes: number): DelosError | undefined {
    const { waitingBytesMax, waitingCountMax } = this.limits
    if (this.waitingCount >= waitingCountMax) {
      return new DelosError('OVERLOADED', `waitingCountMax: ${waitingCountMax} proposals wait for a batch`)
    }
    if (this.waitingBytes + bytes > waitingBytesMax && this.waitingCount > 0) {
      return new DelosError(
        'OVERLOADED',
        `waitingBytesMax: ${this.waitingBytes} bytes wait for a batch, limit ${waitingBytesMax}`,
      )
    }
    return undefined
  }
}

/** A batch being filled, and then the completion of its entry. */
class Batch implements Completion<unknown> {
  bytesBound = 0
  private readonly owner: BatchingEngine
  private readonly expectedBytes: number
  private readonly completions: Completion<unknown>[] = []
  private first: Entry | undefined
  /** Made for the second part: one alone needs none. */
  private writer: ByteWriter | undefined

  constructor(owner: BatchingEngine, expectedBytes: number) {
    this.owner = owner
    this.expectedBytes = expectedBytes
  }

  get count(): number {
    return this.completions.length
  }

  hasRoomFor(bytes: number, limits: BatchingLimits): boolean {
    if (this.count === 0) return true
    return this.count < limits.batchCountMax && this.bytesBound + bytes <= limits.batchBytesMax
  }

  add(entry: Entry, completion: Completion<unknown>): void {
    if (this.first === undefined) {
      this.first = entry
    } else {
      if (this.writer === undefined) {
        this.writer = new ByteWriter(this.expectedBytes)
        writePart(this.writer, this.first)
      }
      writePart(this.writer, entry)
    }
    this.completions.push(completion)
    this.bytesBound += partSizeBound(entry)
  }

  /** The entry that carries all of it; one alone goes unwrapped. */
  toEntry(): Entry {
    if (this.writer === undefined) return this.first as Entry
    const parts: Entry = { headers: NO_HEADERS, payload: this.writer.peek(), index: 0 }
    return withHeader(parts, BATCHING, batchMarker(this.completions.length), true)
  }

  resolve(result: unknown): void {
    const { completions } = this
    // The next batch leaves first: the log works on it while these proposers are told.
    this.owner.landed()
    if (completions.length === 1) {
      completions[0]?.resolve(result)
      return
    }
    assert(
      result instanceof BatchResult && result.results.length === completions.length,
      'one result per part of a batch',
    )
    const { results } = result
    for (let i = 0; i < completions.length; i++) (completions[i] as Completion<unknown>).resolve(results[i])
  }

  reject(error: DelosError): void {
    this.owner.landed()
    this.rejectUnsent(error)
  }

  rejectUnsent(error: DelosError): void {
    for (const completion of this.completions) completion.reject(error)
  }
}

function closedError(): DelosError {
  return new DelosError('CLOSED', 'the database is closed')
}
