import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// `fast` is what a developer runs on every change: unit tests, conformance suites, short simulations. `full` adds whatever
// starts real processes, real peers or many seeds. `alone` bounds latency or memory: it runs last, with nothing beside it.

const ALONE = ['test/bad-frames.test.ts', 'test/connections.test.ts', 'test/long-requests.test.ts']
const NOT_OURS = ['**/node_modules/**']
const SLOW = { testTimeout: 300_000, hookTimeout: 120_000 }

const source = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url))

export default defineConfig({
  // Examples import the package by its public names, and are tested against the sources.
  resolve: {
    alias: [
      { find: /^delos$/, replacement: source('node/index.ts') },
      { find: /^delos\/testing$/, replacement: source('sim/testing.ts') },
      { find: /^delos\/(engine|log|store|table)$/, replacement: source('$1/index.ts') },
    ],
  },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['{src,tools,examples,bench}/**/*.test.ts'],
          exclude: ['**/*.slow.test.ts', ...NOT_OURS],
        },
      },
      {
        extends: true,
        test: {
          name: 'full',
          include: ['{src,examples}/**/*.slow.test.ts', 'test/**/*.test.ts'],
          exclude: [...ALONE, ...NOT_OURS],
          ...SLOW,
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 }, ...SLOW },
      },
    ],
  },
})
