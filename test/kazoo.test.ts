// kazoo's own test suite against one server: what a real standalone ZooKeeper 3.8 passes, this server passes, except for
// features that are named in compat/kazoo-expected.ts.

import { readFileSync } from 'node:fs'
import { beforeAll, expect, it } from 'vitest'
import { kazooExpectedFailures, kazooUndecided } from './compat/kazoo-expected.ts'
import { type KazooResult, runKazooSuite } from './support/kazoo-suite.ts'
import { describeWith, peers } from './support/peers.ts'
import { serverKind } from './support/server.ts'

const LEAST_PASSES = 298

describeWith(peers.kazoo, "kazoo's test suite", () => {
  let results: KazooResult[]
  const named = (outcome: KazooResult['outcome']): string[] =>
    results.filter((result) => result.outcome === outcome).map(({ name }) => name)
  const realPasses = readFileSync(new URL('./compat/zookeeper-3.8-passes.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n')

  beforeAll(async () => {
    results = (await runKazooSuite()).filter(({ name }) => !kazooUndecided.has(name))
    const failed = results.filter(({ outcome }) => outcome === 'failed')
    console.log(`kazoo: ${named('passed').length} passed, ${failed.length} failed, ${named('skipped').length} skipped`)
    for (const { name, message } of failed)
      if (!(name in kazooExpectedFailures)) console.log(`${name}: ${message.slice(0, 1500)}`)
  }, 280_000)

  it('every test that a real ZooKeeper 3.8 passes passes, unless it waits for a later feature', () => {
    const passed = new Set(named('passed'))
    expect(
      realPasses.filter((name) => !passed.has(name) && !kazooUndecided.has(name) && !(name in kazooExpectedFailures)),
    ).toEqual([])
  })

  it('no test fails that is not listed', () => {
    expect(named('failed').filter((name) => !(name in kazooExpectedFailures))).toEqual([])
  })

  it('no listed test passes, and each of them exists', () => {
    const passed = new Set(named('passed'))
    const all = new Set(results.map(({ name }) => name))
    const listed = Object.keys(kazooExpectedFailures)
    expect(listed.filter((name) => !all.has(name))).toEqual([])
    if (serverKind === 'delos') expect(listed.filter((name) => passed.has(name))).toEqual([])
  })

  it(`at least ${LEAST_PASSES} tests pass`, () => {
    expect(named('passed').length).toBeGreaterThanOrEqual(LEAST_PASSES)
  })

  it('no test hangs', () => {
    expect(results.filter(({ message }) => message.includes('Timeout >')).map(({ name }) => name)).toEqual([])
  })
})
