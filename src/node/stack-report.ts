// The live stack of one database as operators see it: each engine with its flag, level and own share of the time, each joint with
// its latencies. Shape of `/v1/databases/NAME/stack` and of `delos stack --json`. Pure functions of what stack and observers say.

import { type HistogramSnapshot, quantileMs } from '../base/latency-histogram.ts'
import type { EngineStatus, StackStatus } from '../engine/stack.ts'
import type { ObserverSnapshot } from '../engines/observer-engine.ts'

/** Of the timed sample, since the start of the process. Microseconds. */
export interface Times {
  readonly samples: number
  readonly meanUs: number
  readonly p50Us: number
  readonly p99Us: number
}

/** What one joint has seen. Counts cover all, times a sample of one in `sampleEvery`. */
export interface JointReport {
  readonly below: string
  readonly above: string
  readonly sampleEvery: number
  readonly proposals: number
  readonly syncs: number
  readonly applies: number
  /** From propose until the result came up: the layers below, the log included. */
  readonly propose: Times
  readonly sync: Times
  /** The layers above. */
  readonly apply: Times
  readonly postApply: Times
  /** Share of the last ten seconds that the layers above spent in apply and postApply. */
  readonly applyUtilisation: number
}

/** The difference of the joints below and above a layer: what is its own. Microseconds. */
export interface LayerShare {
  /** How much longer a proposal takes with this layer than without, waiting included. Base: the log included. */
  readonly proposeUs: number
  /** Processor time in apply and postApply, per entry that the database applied. */
  readonly applyUs: number
  readonly applyUtilisation: number
}

export interface LayerReport {
  readonly name: string
  readonly kind: 'base' | 'engine' | 'database'
  readonly share: LayerShare
  /** Of an engine. */
  readonly enabled?: boolean
  readonly level?: number
  readonly levelMax?: number
  readonly details?: EngineStatus['details']
}

export interface StackReport {
  readonly database: string
  readonly state: StackStatus['state']
  /** First position not applied yet, first one not durable here, and the log's tail as known here. */
  readonly appliedPos: number
  readonly durablePos: number
  readonly tail: number
  readonly members: readonly string[]
  readonly alarms: readonly string[]
  /** Share of the last ten seconds that this server spent in apply and postApply above Base. */
  readonly applyUtilisation: number
  /** Bottom to top: base, the engines, the database. */
  readonly layers: readonly LayerReport[]
  /** Bottom to top: one above each layer but the last. */
  readonly joints: readonly JointReport[]
}

export interface StackReadings {
  readonly database: string
  readonly status: StackStatus
  readonly members: readonly string[]
  /** Bottom to top. */
  readonly joints: readonly ObserverSnapshot[]
}

export function stackReport({ database, status, members, joints }: StackReadings): StackReport {
  const bottom = joints[0]
  return {
    database,
    state: status.state,
    appliedPos: status.cursor,
    durablePos: status.durableCursor,
    tail: status.knownTail,
    members,
    alarms: status.alarms,
    applyUtilisation: rounded(bottom?.applyUtilisation ?? 0),
    layers: layersOf(database, status, joints),
    joints: joints.map(jointReport),
  }
}

function layersOf(database: string, status: StackStatus, joints: readonly ObserverSnapshot[]): LayerReport[] {
  const applied = Math.max(1, joints.at(-1)?.applies ?? 0)
  const shareAt = (layer: number): LayerShare => shareOf(joints[layer - 1], joints[layer], status.applyMs, applied)
  return [
    { name: joints[0]?.below ?? 'base', kind: 'base', share: shareAt(0) },
    ...status.engines.map((engine, at): LayerReport => ({ kind: 'engine', ...engine, share: shareAt(at + 1) })),
    { name: database, kind: 'database', share: shareAt(joints.length) },
  ]
}

// Estimates from samples: a difference below zero is noise.
function shareOf(
  below: ObserverSnapshot | undefined,
  above: ObserverSnapshot | undefined,
  allApplyMs: number,
  applied: number,
): LayerShare {
  const proposeMs = above === undefined ? 0 : meanMs(above.propose) - (below === undefined ? 0 : meanMs(below.propose))
  // Below the lowest joint is Base, which knows all of its time, commits included.
  const applyMs = (below?.applyMs ?? allApplyMs) - (above?.applyMs ?? 0)
  const utilisation = below === undefined ? 0 : below.applyUtilisation - (above?.applyUtilisation ?? 0)
  return {
    proposeUs: rounded(Math.max(0, proposeMs * 1000)),
    applyUs: rounded(Math.max(0, (applyMs * 1000) / applied)),
    applyUtilisation: rounded(Math.max(0, utilisation)),
  }
}

function jointReport(joint: ObserverSnapshot): JointReport {
  const { below, above, sampleEvery, proposals, syncs, applies } = joint
  return {
    below,
    above,
    sampleEvery,
    proposals,
    syncs,
    applies,
    propose: times(joint.propose),
    sync: times(joint.sync),
    apply: times(joint.apply),
    postApply: times(joint.postApply),
    applyUtilisation: rounded(joint.applyUtilisation),
  }
}

function times(histogram: HistogramSnapshot): Times {
  return {
    samples: histogram.count,
    meanUs: rounded(meanMs(histogram) * 1000),
    p50Us: rounded(quantileMs(histogram, 0.5) * 1000),
    p99Us: rounded(quantileMs(histogram, 0.99) * 1000),
  }
}

function meanMs({ count, sumMs }: HistogramSnapshot): number {
  return count === 0 ? 0 : sumMs / count
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
