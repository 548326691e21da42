import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { registerJvmMetrics } from './jvm-metrics.ts'

/** The value of each line of the page. */
async function shown(registry: Registry): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.replace(/ [^ ]*$/, ''), Number(line.replace(/.* /, ''))]))
}

const sum = (page: Map<string, number>, start: string): number =>
  [...page].filter(([line]) => line.startsWith(start)).reduce((total, [, value]) => total + value, 0)

describe("metrics under the names of ZooKeeper's virtual machine", () => {
  it('show the memory in use: the heap, its spaces, and the rest', async () => {
    const registry = new Registry()
    registerJvmMetrics(registry)
    const before = await shown(registry)
    const [heap, rest] = [new Array(1_000_000).fill(1.5), Buffer.alloc(20_000_000, 1)]
    const after = await shown(registry)
    const grown = (line: string): number => (after.get(line) ?? Number.NaN) - (before.get(line) ?? Number.NaN)
    expect(grown('jvm_memory_bytes_used{area="heap"}')).toBeGreaterThan(7_000_000)
    expect(grown('jvm_memory_bytes_committed{area="heap"}')).toBeGreaterThan(0)
    expect(grown('jvm_memory_bytes_used{area="nonheap"}')).toBeGreaterThan(15_000_000)
    expect(grown('jvm_memory_bytes_committed{area="nonheap"}')).toBeGreaterThan(15_000_000)
    expect(sum(after, 'jvm_memory_pool') - sum(before, 'jvm_memory_pool')).toBeGreaterThan(7_000_000)
    expect(after.get('jvm_memory_pool_bytes_used{pool="old_space"}')).toBeGreaterThan(0)
    expect(heap.length + rest.length).toBe(21_000_000)
  })

  it.skipIf(process.platform !== 'linux')('count threads', async () => {
    const registry = new Registry()
    registerJvmMetrics(registry)
    const before = (await shown(registry)).get('jvm_threads_current') as number
    const worker = new Worker('setInterval(() => {}, 1e6)', { eval: true })
    await new Promise((resolve) => worker.once('online', resolve))
    expect((await shown(registry)).get('jvm_threads_current')).toBeGreaterThan(before)
    await worker.terminate()
  })

  it('count collections of garbage and their time, by kind, as the default metrics do', async () => {
    const registry = new Registry()
    collectDefaultMetrics({ register: registry })
    registerJvmMetrics(registry)
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const count = 'jvm_gc_collection_seconds_count{gc="major"}'
    const before = (await shown(registry)).get(count) ?? 0
    collect()
    // What collected is told by the observer, in a later turn.
    for (let i = 0; i < 100 && !(((await shown(registry)).get(count) ?? 0) > before); i++) await nextTurn()
    const page = await shown(registry)
    expect(page.get(count)).toBeGreaterThan(before)
    expect(page.get('jvm_gc_collection_seconds_sum{gc="major"}')).toBeGreaterThan(0)
    expect(page.get(count)).toBe(page.get('nodejs_gc_duration_seconds_count{kind="major"}'))
  })

  it('count no collections where there are no default metrics', async () => {
    const registry = new Registry()
    registerJvmMetrics(registry)
    expect([...(await shown(registry)).keys()].filter((line) => line.includes('_gc_'))).toEqual([])
  })
})
