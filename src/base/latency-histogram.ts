// A histogram of times as plain numbers: cheap to record (no search, about 10 ns), fine enough for percentiles of a microsecond
// as of a second, read by whoever shows them. Buckets grow with the value: four to each power of two, so a percentile is off by
// an eighth at most.

/** The smallest bucket: a quarter of a microsecond. */
const UNITS_PER_MS = 4000
/** Values up to this many units have a bucket each. */
const EXACT = 8
const EXACT_LOG2 = 3
/** Buckets end at 2^26 units, 16.8 s; one more takes the rest. */
const LOG2_MAX = 26
const BUCKETS = EXACT + (LOG2_MAX - EXACT_LOG2) * 4

/** Upper bounds of the buckets in milliseconds, inclusive, ascending; one more bucket takes the rest. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => {
  if (bucket < EXACT) return (bucket + 1) / UNITS_PER_MS
  const log2 = EXACT_LOG2 + Math.floor((bucket - EXACT) / 4)
  const quarter = (bucket - EXACT) % 4
  return (2 ** log2 * (1 + (quarter + 1) / 4)) / UNITS_PER_MS
})

export interface HistogramSnapshot {
  readonly boundsMs: readonly number[]
  /** Per bucket, not cumulated; one longer than the bounds. */
  readonly counts: readonly number[]
  readonly count: number
  readonly sumMs: number
}

export class LatencyHistogram {
  private readonly counts = new Float64Array(BUCKETS + 1)
  private total = 0
  private sum = 0

  get count(): number {
    return this.total
  }

  get sumMs(): number {
    return this.sum
  }

  record(ms: number): void {
    const bucket = bucketOf(ms)
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.total++
    this.sum += ms
  }

  snapshot(): HistogramSnapshot {
    return { boundsMs: LATENCY_BOUNDS_MS, counts: [...this.counts], count: this.total, sumMs: this.sum }
  }
}

/** A histogram of one value, recorded once. */
export function histogramOf(ms: number): HistogramSnapshot {
  const histogram = new LatencyHistogram()
  histogram.record(ms)
  return histogram.snapshot()
}

export const EMPTY_HISTOGRAM: HistogramSnapshot = new LatencyHistogram().snapshot()

/** The value below which `share` (0 to 1) of what was recorded lies, ms; interpolated within its bucket. 0 if nothing was. */
export function quantileMs({ boundsMs, counts, count }: HistogramSnapshot, share: number): number {
  let left = share * count
  for (const [bucket, inBucket] of counts.entries()) {
    if (inBucket === 0 || left > inBucket) {
      left -= inBucket
      continue
    }
    const from = bucket === 0 ? 0 : (boundsMs[bucket - 1] as number)
    const to = boundsMs[bucket] ?? from
    return from + (to - from) * (left / inBucket)
  }
  return 0
}

/** What was recorded between two snapshots of one histogram. */
export function histogramSince(before: HistogramSnapshot, after: HistogramSnapshot): HistogramSnapshot {
  return {
    boundsMs: after.boundsMs,
    counts: after.counts.map((count, bucket) => count - (before.counts[bucket] as number)),
    count: after.count - before.count,
    sumMs: after.sumMs - before.sumMs,
  }
}

/** Both together. */
export function addHistogram(one: HistogramSnapshot, other: HistogramSnapshot): HistogramSnapshot {
  return {
    boundsMs: one.boundsMs,
    counts: one.counts.map((count, bucket) => count + (other.counts[bucket] as number)),
    count: one.count + other.count,
    sumMs: one.sumMs + other.sumMs,
  }
}

/** The bounds of the smallest and of the largest value that was recorded, ms: within an eighth. 0 if nothing was. */
export function rangeMs({ boundsMs, counts }: HistogramSnapshot): readonly [min: number, max: number] {
  const first = counts.findIndex((count) => count > 0)
  if (first === -1) return [0, 0]
  const last = counts.findLastIndex((count) => count > 0)
  return [first === 0 ? 0 : (boundsMs[first - 1] as number), boundsMs[last] ?? (boundsMs.at(-1) as number)]
}

function bucketOf(ms: number): number {
  // Bounds are inclusive; the rounding error of a bound itself must not lift it over.
  const units = Math.ceil(ms * UNITS_PER_MS - 1e-6) - 1
  if (units < EXACT) return units < 0 ? 0 : units
  if (units >= 2 ** LOG2_MAX) return BUCKETS
  const log2 = 31 - Math.clz32(units)
  return EXACT + (log2 - EXACT_LOG2) * 4 + ((units >> (log2 - 2)) & 3)
}
