// What a conformance suite needs of a test framework, handed in by the test that runs it: the suites are part of the package,
// which depends on none. Vitest's `{ describe, it, expect, beforeEach, afterEach }` fits.

export interface TestFramework {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: (name: string, body: () => Promise<void> | void, timeoutMs?: number) => unknown
  readonly expect: (actual: unknown, message?: string) => Matchers
}

/** For suites that give each test a fresh subject by hooks. */
export interface TestFrameworkWithHooks extends TestFramework {
  readonly beforeEach: (body: () => Promise<void>) => unknown
  readonly afterEach: (body: () => Promise<void>) => unknown
}

export interface Matchers {
  toBe(expected: unknown): void
  toEqual(expected: unknown): void
  toBeDefined(): void
  toBeUndefined(): void
  toBeInstanceOf(type: unknown): void
  toHaveLength(length: number): void
  toMatch(pattern: RegExp): void
  toBeGreaterThan(expected: number): void
  toBeGreaterThanOrEqual(expected: number): void
  toBeLessThan(expected: number): void
  toBeLessThanOrEqual(expected: number): void
}
