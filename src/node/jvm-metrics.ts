// What dashboards that were made for ZooKeeper show of its virtual machine: this process and V8, under the names that they read.
// What has no counterpart here (classes, states of threads) is in docs/zookeeper-metrics.md.

import { readFileSync } from 'node:fs'
import { getHeapSpaceStatistics } from 'node:v8'
import { Gauge, type Registry, Summary } from 'prom-client'

/** The default metric that counts collections of garbage; without it in the registry there are none here either. */
const COLLECTIONS = 'nodejs_gc_duration_seconds'

export function registerJvmMetrics(registry: Registry): void {
  registerMemory(registry)
  new Gauge({
    name: 'jvm_memory_pool_bytes_used',
    help: 'Memory in use in each space of the heap.',
    labelNames: ['pool'],
    registers: [registry],
    collect() {
      for (const { space_name: pool, space_used_size: bytes } of getHeapSpaceStatistics()) this.set({ pool }, bytes)
    },
  })
  new Gauge({
    name: 'jvm_threads_current',
    help: 'Threads of the process.',
    registers: [registry],
    collect() {
      this.remove()
      const threads = threadCount()
      if (threads !== undefined) this.set(threads)
    },
  })
  registry.registerMetric(new CollectionSummary(registry))
}

function registerMemory(registry: Registry): void {
  const memory = (
    name: string,
    help: string,
    read: (usage: NodeJS.MemoryUsage) => [heap: number, rest: number],
  ): void => {
    new Gauge({
      name,
      help,
      labelNames: ['area'],
      registers: [registry],
      collect() {
        const [heap, rest] = read(process.memoryUsage())
        this.set({ area: 'heap' }, heap)
        this.set({ area: 'nonheap' }, rest)
      },
    })
  }
  memory('jvm_memory_bytes_used', 'Memory in use: the heap, and all that the process has beside it.', (usage) => [
    usage.heapUsed,
    usage.rss - usage.heapTotal,
  ])
  memory('jvm_memory_bytes_committed', 'Memory that the system has given, in the same parts.', (usage) => [
    usage.heapTotal,
    usage.rss - usage.heapTotal,
  ])
}

/** Undefined: only Linux tells. */
function threadCount(): number | undefined {
  try {
    const threads = /^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
    return threads === undefined ? undefined : Number(threads)
  } catch {
    return undefined
  }
}

/** The same collections of garbage as in the default metrics, nothing is counted twice. */
class CollectionSummary extends Summary {
  private readonly registry: Registry

  constructor(registry: Registry) {
    super({ name: 'jvm_gc_collection_seconds', help: 'Time of collections of garbage, by their kind.', registers: [] })
    this.registry = registry
  }

  override async get(): ReturnType<Summary['get']> {
    const counted = await this.registry.getSingleMetric(COLLECTIONS)?.get()
    const values = (counted?.values ?? []) as readonly { metricName?: string; labels: object; value: number }[]
    const rows = values.flatMap(({ metricName = '', labels, value }) => {
      const part = metricName.slice(COLLECTIONS.length)
      if (part !== '_sum' && part !== '_count') return []
      const gc = (labels as { kind?: string }).kind ?? ''
      return [{ metricName: `jvm_gc_collection_seconds${part}`, labels: { gc }, value }]
    })
    return { ...(await super.get()), values: rows }
  }
}
