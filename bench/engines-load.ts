// Base with and without Batching under load, in this process: over a log in memory that answers each append after one
// millisecond, with at most 64 in flight, and over the file loglet. Prints one JSON value. Arguments: directory, seconds per step.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BaseEngine, batchingEngine, FileLogletProvider, nodeRuntime } from 'delos'
import { type EngineFactory, entryOf, Stack } from 'delos/engine'
import { type Loglet, type LogletAppendOutcome, type LogletProvider, VirtualLog } from 'delos/log'
import { openMemoryStore, subStorePrefix } from 'delos/store'
import { MemoryLogletProvider, MemoryMetaStore, MemoryRegister } from 'delos/testing'
import type { InProcessFigures, Step } from './engines-figures.ts'

const APPEND_MS = 1
const IN_FLIGHT_MAX = 64
const PAYLOAD_BYTES = 100
const KEYS = 10_000
/** Requests in flight. */
const STEPS = [1, 16, 64, 256, 1024, 4096]
/** As many as Base alone takes. */
const STEPS_WITHOUT = STEPS.filter((inFlight) => inFlight <= 1024)
const WARM_SHARE = 0.3

const runtime = nodeRuntime()

/** Answers appends a millisecond late, and keeps those past the 64th waiting, in order. */
class SlowAppends {
  private inFlight = 0
  private readonly waiting: (() => void)[] = []

  wrap(inner: LogletProvider): LogletProvider {
    return {
      kind: inner.kind,
      create: async (config) => this.slowed(await inner.create(config)),
      open: async (config) => this.slowed(await inner.open(config)),
      destroy: (config) => inner.destroy(config),
      list: () => inner.list(),
    }
  }

  private slowed(inner: Loglet): Loglet {
    return {
      maxEntryBytes: inner.maxEntryBytes,
      append: (bytes) => this.append(inner, bytes),
      checkTail: () => inner.checkTail(),
      readNext: (from, to, maxBytes) => inner.readNext(from, to, maxBytes),
      prefixTrim: (to) => inner.prefixTrim(to),
      seal: (successor) => inner.seal(successor),
      onTailMoved: (listener) => inner.onTailMoved(listener),
      marks: () => inner.marks(),
      get trimPoint() {
        return inner.trimPoint
      },
      close: () => inner.close(),
    }
  }

  private append(inner: Loglet, bytes: Uint8Array): Promise<LogletAppendOutcome> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        this.inFlight++
        setTimeout(() => {
          inner.append(bytes).then((outcome) => {
            this.inFlight--
            this.waiting.shift()?.()
            resolve(outcome)
          }, reject)
        }, APPEND_MS)
      }
      if (this.inFlight < IN_FLIGHT_MAX) start()
      else this.waiting.push(start)
    })
  }
}

/** Runs `use` with a database that puts each payload under one of some keys. */
async function withStack<T>(
  provider: LogletProvider,
  engines: readonly EngineFactory[],
  use: (stack: Stack<number>) => Promise<T>,
): Promise<T> {
  const store = openMemoryStore({ runtime })
  const metastore = new MemoryMetaStore(new MemoryRegister())
  const initial = { kind: provider.kind, params: {} }
  const log = await VirtualLog.open({
    ...runtime,
    metastore,
    providers: [provider],
    initial,
    retention: { hours: 0, bytes: 0 },
  })
  const bottom = new BaseEngine({ ...runtime, serverId: 'a', log, store })
  const stack = new Stack<number>({ ...runtime, serverId: 'a', database: 'puts', bottom, engines })
  let applied = 0
  const prefix = subStorePrefix('puts')
  stack.attach({
    apply: (tx, { payload = new Uint8Array(0) }) => {
      tx.put(`${prefix}${applied++ % KEYS}`, payload)
      return applied
    },
    postApply: () => undefined,
  })
  await stack.start()
  await stack.whenServing()
  await stack.enable()
  try {
    return await use(stack)
  } finally {
    await stack.stop()
    await log.close()
    await store.close()
  }
}

/** A closed loop: whoever is answered proposes again in the next turn of the event loop, as a client behind a socket does. */
function runStep(stack: Stack<number>, inFlight: number, seconds: number): Promise<Step> {
  const payload = Buffer.alloc(PAYLOAD_BYTES, 'x')
  const latenciesMs: number[] = []
  const startMs = performance.now()
  const countedFromMs = startMs + seconds * WARM_SHARE * 1000
  const endMs = countedFromMs + seconds * 1000
  return new Promise((resolve, reject) => {
    let open = inFlight
    let ready = inFlight
    const turn = (): void => {
      const now = performance.now()
      if (now >= endMs) return finish()
      const count = ready
      ready = 0
      for (let i = 0; i < count; i++) {
        stack.submit(entryOf(payload), {
          resolve: () => {
            const at = performance.now()
            if (at >= countedFromMs && at < endMs) latenciesMs.push(at - now)
            if (ready++ === 0) setImmediate(turn)
          },
          reject,
        })
      }
    }
    const finish = (): void => {
      // What is still under way is let go of, all together.
      open -= ready
      ready = 0
      if (open === 0) resolve(stepOf(inFlight, seconds, latenciesMs))
    }
    turn()
  })
}

function stepOf(inFlight: number, seconds: number, latenciesMs: number[]): Step {
  const sorted = Float64Array.from(latenciesMs).sort()
  const at = (share: number): number => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN) * 1000
  return {
    inFlight,
    opsPerSecond: sorted.length / seconds,
    p50Us: at(0.5),
    p99Us: at(0.99),
  }
}

async function runSteps(stack: Stack<number>, steps: readonly number[], seconds: number): Promise<Step[]> {
  await runStep(stack, 256, seconds) // for the just-in-time compiler
  const results: Step[] = []
  for (const inFlight of steps) results.push(await runStep(stack, inFlight, seconds))
  return results
}

async function main(directory: string, seconds: number): Promise<InProcessFigures> {
  const slow = (): LogletProvider => new SlowAppends().wrap(new MemoryLogletProvider())
  let files = 0
  const file = (): LogletProvider => {
    const path = join(directory, `log-${files++}`)
    mkdirSync(path, { recursive: true })
    return new FileLogletProvider(path, runtime.disk, runtime.clock)
  }
  const without = (provider: LogletProvider): Promise<Step[]> =>
    withStack(provider, [], (stack) => runSteps(stack, STEPS_WITHOUT, seconds))
  const batched = (provider: LogletProvider): Promise<Step[]> =>
    withStack(provider, [batchingEngine()], (stack) => runSteps(stack, STEPS, seconds))
  return {
    slow: { without: await without(slow()), with: await batched(slow()) },
    file: { without: await without(file()), with: await batched(file()) },
  }
}

const [directory = '.', seconds = '1'] = process.argv.slice(2)
process.stdout.write(`${JSON.stringify(await main(directory, Number(seconds)))}\n`)
