// What a conformance suite needs of a test runner, handed in by the test that runs it: the suites are part of the package,
// which depends on no runner. Vitest's `{ describe, it, expect }` fits.

export interface SuiteTools {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: (name: string, body: () => Promise<void>) => unknown
  readonly expect: (actual: unknown, message?: string) => SuiteMatchers
}

export interface SuiteMatchers {
  toBe(expected: unknown): void
  toEqual(expected: unknown): void
  toBeGreaterThan(expected: number): void
  toBeGreaterThanOrEqual(expected: number): void
  toBeLessThan(expected: number): void
  toBeLessThanOrEqual(expected: number): void
}

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
