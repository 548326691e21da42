// What is asked of both servers: the grid of operations and concurrencies, its order within a round, and the warm-up.

export type Operation = 'get' | 'set' | 'create' | 'mixed' | 'createdel'

export type Workload = {
  readonly operation: Operation
  readonly connections: number
  /** Requests in flight per connection. */
  readonly window: number
}

export const VALUE_BYTES = 100

/**
 * One round, in order: many requests at once before few, which gives a just-in-time compiler the longest warm-up before
 * the latency of a single request counts; and creates last, smallest first, since they leave nodes behind: whatever is
 * measured before them sees the same small tree on both servers.
 */
export const WORKLOADS: readonly Workload[] = [
  { operation: 'get', connections: 10, window: 100 },
  { operation: 'set', connections: 10, window: 100 },
  { operation: 'mixed', connections: 10, window: 100 },
  { operation: 'get', connections: 100, window: 1 },
  { operation: 'set', connections: 100, window: 1 },
  { operation: 'mixed', connections: 100, window: 1 },
  { operation: 'get', connections: 1, window: 1 },
  { operation: 'set', connections: 1, window: 1 },
  { operation: 'create', connections: 1, window: 1 },
  { operation: 'create', connections: 100, window: 1 },
  { operation: 'create', connections: 10, window: 100 },
]

/** The name on the command line and in the JSON, such as `set:10x100`. */
export function workloadName(workload: Workload): string {
  return `${workload.operation}:${workload.connections}x${workload.window}`
}

/** Keeps what one of the comma-separated words names: an operation (`set`), a shape (`1x1`) or both (`set:1x1`). */
export function selectWorkloads(words: string): readonly Workload[] | { readonly unknown: string } {
  const chosen = new Set<Workload>()
  for (const word of words.split(',')) {
    const matching = WORKLOADS.filter((w) =>
      [workloadName(w), w.operation, `${w.connections}x${w.window}`].includes(word),
    )
    if (matching.length === 0) return { unknown: word }
    for (const workload of matching) chosen.add(workload)
  }
  return WORKLOADS.filter((workload) => chosen.has(workload))
}

/**
 * Laying out the keys is one of the requests in flight after the other, so at one in flight most of a run would be spent
 * on it; a tenth of the keys does there.
 */
export function keysFor(workload: Workload, keys: number): number {
  return workload.connections * workload.window === 1 ? Math.max(1, Math.floor(keys / 10)) : keys
}

export type WarmUpStep = { readonly workload: Workload; readonly seconds: number }

/**
 * Every kind of request, pipelined and alone, until about `seconds` are spent (a just-in-time compiler needs most of 15).
 * The generator's own uncounted first second is part of each step. Creates are deleted again.
 */
export function warmUp(seconds: number): readonly WarmUpStep[] {
  const steps: readonly (readonly [Workload, number])[] = [
    [{ operation: 'set', connections: 10, window: 100 }, 5 / 15],
    [{ operation: 'createdel', connections: 10, window: 100 }, 4 / 15],
    [{ operation: 'get', connections: 10, window: 100 }, 3 / 15],
    [{ operation: 'set', connections: 1, window: 1 }, 3 / 15],
  ]
  return steps.map(([workload, share]) => ({ workload, seconds: Math.max(1, Math.round(seconds * share) - 1) }))
}
