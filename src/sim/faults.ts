// What may go wrong in a simulated world, as plain numbers with units. No behaviour: the parts of the simulator read it.

/** A disk that is slow, full, failing, or loses power. Probabilities are per operation. */
export interface DiskFaults {
  /** Reads, writes and changes of names take from min to max, mostly near min. */
  readonly latencyMsMin: number
  readonly latencyMsMax: number
  readonly syncLatencyMsMin: number
  readonly syncLatencyMsMax: number
  /** An operation that takes up to `stallMsMax` instead. */
  readonly stallProbability: number
  readonly stallMsMax: number
  readonly readFailureProbability: number
  readonly writeFailureProbability: number
  /** A failed sync makes some sectors durable and forgets that the others are not, as Linux does. */
  readonly syncFailureProbability: number
  /** Size of the file system; writes beyond it fail with DISK_FULL. */
  readonly capacityBytes: number
}

/** Clocks that run apart. */
export interface ClockFaults {
  /** Each machine's clocks run faster or slower by up to this many parts per million. */
  readonly driftPpmMax: number
  /** Each machine's wall clock is off by up to this much, drawn anew at each boot. */
  readonly wallOffsetMsMax: number
  /** A timer fires up to this much late. */
  readonly timerLateMsMax: number
}

/** A network that delays, cuts and resets streams. */
export interface NetworkFaults {
  readonly latencyMsMin: number
  readonly latencyMsMax: number
  /** What arrives at once: a uniform count of bytes up to this, across the boundaries of writes. */
  readonly chunkBytesMax: number
  /** Per chunk: the connection is reset instead. */
  readonly resetProbability: number
  /** Unsent bytes above which `write` answers false. */
  readonly highWaterBytes: number
}

export interface Faults {
  readonly disk: DiskFaults
  readonly clock: ClockFaults
  readonly network: NetworkFaults
}

/** A world in which only time passes, and machines crash when told. */
export const CALM: Faults = {
  disk: {
    latencyMsMin: 0.01,
    latencyMsMax: 0.2,
    syncLatencyMsMin: 0.1,
    syncLatencyMsMax: 2,
    stallProbability: 0,
    stallMsMax: 0,
    readFailureProbability: 0,
    writeFailureProbability: 0,
    syncFailureProbability: 0,
    capacityBytes: 2 ** 40,
  },
  clock: { driftPpmMax: 0, wallOffsetMsMax: 0, timerLateMsMax: 0 },
  network: {
    latencyMsMin: 0.05,
    latencyMsMax: 1,
    chunkBytesMax: 64 * 1024,
    resetProbability: 0,
    highWaterBytes: 256 * 1024,
  },
}

/** A world in which everything goes wrong now and then. */
export const STORMY: Faults = {
  disk: {
    ...CALM.disk,
    stallProbability: 0.01,
    stallMsMax: 500,
    readFailureProbability: 0.0001,
    writeFailureProbability: 0.0005,
    syncFailureProbability: 0.002,
  },
  clock: { driftPpmMax: 5_000, wallOffsetMsMax: 60_000, timerLateMsMax: 5 },
  network: { ...CALM.network, latencyMsMax: 20, chunkBytesMax: 2_000, resetProbability: 0.001 },
}

/** What differs from `CALM`. */
export interface FaultOptions {
  readonly disk?: Partial<DiskFaults>
  readonly clock?: Partial<ClockFaults>
  readonly network?: Partial<NetworkFaults>
}

/** `base`, with these numbers instead. */
export function faultsWith(options: FaultOptions, base: Faults = CALM): Faults {
  return {
    disk: { ...base.disk, ...options.disk },
    clock: { ...base.clock, ...options.clock },
    network: { ...base.network, ...options.network },
  }
}
