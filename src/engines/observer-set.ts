// All observers of one stack, and the two kinds of them that few joints have. Not here: what an observer counts and times.

import { assert } from '../base/assert.ts'
import type { Completion, Engine } from '../engine/engine.ts'
import { type Entry, withHeader } from '../engine/entry.ts'
import type { WrapJoint } from '../engine/stack.ts'
import type { LogPos } from '../log/position.ts'
import type { Random } from '../runtime/runtime.ts'
import type { ReadWriteTx } from '../store/local-store.ts'
import {
  type Joint,
  OBSERVER,
  ObserverEngine,
  type ObserverOptions,
  type ObserverSnapshot,
  SAMPLE_EVERY,
  type TraceOptions,
} from './observer-engine.ts'
import { SampleGroup, type SampleGroups } from './sample-group.ts'

/** All observers of one stack: gives `wrapJoint` for its options, and what they have seen. */
export class ObserverSet {
  private readonly options: ObserverOptions
  private readonly observers: ObserverEngine[] = []
  private readonly apply = new SampleGroup()
  private propose = new SampleGroup()

  constructor(options: ObserverOptions) {
    this.options = options
  }

  readonly wrapJoint: WrapJoint = (below, joint) => {
    const { gatheredBy, trace } = this.options
    // Joints are made bottom to top. What is proposed above that engine is no call of those below it.
    if (joint.below === gatheredBy) this.propose = new SampleGroup()
    const Observer = trace !== undefined ? TracingObserver : joint.above === gatheredBy ? GateObserver : ObserverEngine
    const observer = new Observer(below, joint, this.options, { propose: this.propose, apply: this.apply })
    this.observers.push(observer)
    return observer
  }

  /** Bottom to top. */
  snapshot(): ObserverSnapshot[] {
    return this.observers.map((observer) => observer.snapshot())
  }
}

/** Decides below the engine that gathers proposals. */
class GateObserver extends ObserverEngine {
  // As inherited, for a call site of its own: one that has seen two layers below it is compiled for both.
  override propose(entry: Entry, completion: Completion<unknown>): void {
    if (--this.untilPropose > 0) this.below.propose(entry, completion)
    else this.timePropose(entry, completion)
  }
}

/** Leaves and looks for trace ids, and so is called for every entry. */
class TracingObserver extends ObserverEngine {
  private readonly trace: TraceOptions
  private untilTrace = 1

  constructor(below: Engine<unknown>, joint: Joint, options: ObserverOptions, groups?: SampleGroups) {
    super(below, joint, options, groups)
    assert(options.trace !== undefined, 'an observer that traces is told how')
    this.trace = options.trace
  }

  protected override get staysIn(): boolean {
    return true
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    super.propose(this.traced(entry), completion)
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): unknown {
    noteTraceId(this.trace, entry, this.joint, pos)
    return super.apply(tx, entry, pos)
  }

  private traced(entry: Entry): Entry {
    if (--this.untilTrace > 0) return entry
    this.untilTrace = this.trace.every ?? SAMPLE_EVERY
    return withTraceId(entry, this.trace.random)
  }
}

function withTraceId(entry: Entry, random: Random): Entry {
  return entry.headers.has(OBSERVER) ? entry : withHeader(entry, OBSERVER, random.bytes(8))
}

function noteTraceId(trace: TraceOptions, entry: Entry, joint: Joint, pos: LogPos): void {
  const header = entry.headers.get(OBSERVER)
  if (header === undefined) return
  try {
    trace.seen(Buffer.from(header.bytes).toString('hex'), joint, pos)
  } catch {
    // Thrown on, it would stop this server at an entry that nothing is wrong with.
  }
}
