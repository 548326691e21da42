// The few statistics that a comparison over rounds needs. Pure functions.

/** Median of the rounds with the smallest and largest of them; all in the unit of the values. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number }

/** The mean of the two middle values when there is an even number of them. Throws on an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  if (upper === undefined || lower === undefined) throw new Error('median of no values')
  return (lower + upper) / 2
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/**
 * How `ours` relates to `theirs`: the ratio of the two medians, so that a reader can recompute it from the printed
 * figures, with the smallest and largest ratio of any one round, which shows what drift of the machine did to it.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const perRound = ours.map((value, round) => value / (theirs[round] ?? Number.NaN)).filter(Number.isFinite)
  const ofMedians = median(ours) / median(theirs)
  return { median: ofMedians, min: Math.min(ofMedians, ...perRound), max: Math.max(ofMedians, ...perRound) }
}

/** The median with the bounds between which the true one lies 19 times of 20, whatever the distribution: by rank. */
export function medianWithin(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const off = 0.98 * Math.sqrt(sorted.length)
  const at = (rank: number): number => sorted[Math.min(sorted.length - 1, Math.max(0, rank))] as number
  const middle = (sorted.length - 1) / 2
  return { median: median(values), min: at(Math.floor(middle - off)), max: at(Math.ceil(middle + off)) }
}
