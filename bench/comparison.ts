// Turns the measurements of all rounds into one comparison per workload. Pure functions.
import type { Measurement } from './measure.ts'
import { PEER_NAMES, type PeerName } from './peers.ts'
import { median, ratioOf, type Spread, spreadOf } from './statistics.ts'
import { WORKLOADS, type Workload } from './workloads.ts'

export const FIGURES = ['opsPerSecond', 'p50Us', 'p99Us'] as const
export type Figure = (typeof FIGURES)[number]

/** One run of one workload on one peer. */
export type Sample = { readonly workload: Workload; readonly peer: PeerName; readonly measurement: Measurement }

export type Summary = Readonly<Record<Figure, Spread>> & {
  readonly cores: number
  /** Of the noisiest round. */
  readonly foreignShare: number
  /** By the server's own counters; absent if it does not offer them. */
  readonly logSyncs?: number
  readonly requestsPerLogSync?: number
}

export type Comparison = {
  readonly workload: Workload
  readonly peers: Readonly<Partial<Record<PeerName, Summary>>>
  /** Ours divided by ZooKeeper's; absent unless both were measured. */
  readonly ratio?: Readonly<Record<Figure, Spread>>
}

/** In the order of the grid; workloads that were not measured are left out. */
export function compare(samples: readonly Sample[]): readonly Comparison[] {
  return WORKLOADS.filter((w) => samples.some((sample) => sample.workload === w)).map((workload) => {
    const of = (peer: PeerName): readonly Measurement[] =>
      samples.filter((s) => s.workload === workload && s.peer === peer).map((s) => s.measurement)
    const measured = PEER_NAMES.filter((peer) => of(peer).length > 0)
    const peers = Object.fromEntries(measured.map((peer) => [peer, summarize(of(peer))]))
    if (measured.length < PEER_NAMES.length) return { workload, peers }
    const ratio = (figure: Figure): Spread =>
      ratioOf(
        of('delos').map((m) => m[figure]),
        of('zookeeper').map((m) => m[figure]),
      )
    return {
      workload,
      peers,
      ratio: { opsPerSecond: ratio('opsPerSecond'), p50Us: ratio('p50Us'), p99Us: ratio('p99Us') },
    }
  })
}

function summarize(rounds: readonly Measurement[]): Summary {
  const spread = (figure: Figure): Spread => spreadOf(rounds.map((round) => round[figure]))
  return {
    opsPerSecond: spread('opsPerSecond'),
    p50Us: spread('p50Us'),
    p99Us: spread('p99Us'),
    cores: median(rounds.map((round) => round.cores)),
    foreignShare: Math.max(...rounds.map((round) => round.foreignShare)),
    ...summarizeSyncs(rounds),
  }
}

function summarizeSyncs(rounds: readonly Measurement[]): Pick<Summary, 'logSyncs' | 'requestsPerLogSync'> {
  const logSyncs = rounds.flatMap(({ counted }) => counted.logSyncs ?? [])
  const perSync = rounds.flatMap(({ counted }) =>
    counted.logSyncs && counted.requests ? counted.requests / counted.logSyncs : [],
  )
  return {
    ...(logSyncs.length === 0 ? {} : { logSyncs: median(logSyncs) }),
    ...(perSync.length === 0 ? {} : { requestsPerLogSync: median(perSync) }),
  }
}
