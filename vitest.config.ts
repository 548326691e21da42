import { defineConfig } from 'vitest/config'

// `fast` is what a developer runs on every change: unit tests, conformance suites, short simulations. `full` adds whatever
// starts real processes, real peers or many seeds.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'fast', include: ['{src,tools,examples,bench}/**/*.test.ts'], exclude: ['**/*.slow.test.ts', '**/node_modules/**'] } },
      { extends: true, test: { name: 'full', include: ['{src,examples}/**/*.slow.test.ts', 'test/**/*.test.ts'], exclude: ['**/node_modules/**', 'test/peers/*/node_modules/**'], testTimeout: 300_000, hookTimeout: 120_000 } },
    ],
  },
})
