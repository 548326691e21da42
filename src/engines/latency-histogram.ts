// A histogram of times in fixed buckets, as plain numbers: cheap to record, read by whoever exports metrics.

/** Upper bounds of the buckets in milliseconds, inclusive; one more bucket takes the rest. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
]

export interface HistogramSnapshot {
  readonly boundsMs: readonly number[]
  /** Per bucket, not cumulated; one longer than the bounds. */
  readonly counts: readonly number[]
  readonly count: number
  readonly sumMs: number
}

export class LatencyHistogram {
  private readonly counts = new Float64Array(LATENCY_BOUNDS_MS.length + 1)
  private total = 0
  private sum = 0

  get count(): number {
    return this.total
  }

  get sumMs(): number {
    return this.sum
  }

  record(ms: number): void {
    let bucket = 0
    while (bucket < LATENCY_BOUNDS_MS.length && ms > (LATENCY_BOUNDS_MS[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.total++
    this.sum += ms
  }

  snapshot(): HistogramSnapshot {
    return { boundsMs: LATENCY_BOUNDS_MS, counts: [...this.counts], count: this.total, sumMs: this.sum }
  }
}
