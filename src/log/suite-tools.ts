// Small helpers of the conformance suites and of tests: seeded schedules, codes of rejections.

/** Small seeded numbers for schedules inside a suite: the same seed gives the same schedule. */
export function seededBelow(seed: number): (limit: number) => number {
  let state = (seed * 2654435761) >>> 0 || 1
  return (limit) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % limit
  }
}

/** The code that `work` rejects with, or `resolved`. */
export async function rejection(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'resolved'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
