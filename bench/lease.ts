// Linearizable reads by the lease beside those by the log, where a tail check takes 48 ms as between continents: three servers in this
// process, the whole stack with Lease on top, a log in memory; writes all the while, and in mid-run the holder is gone.
import { parseArgs } from 'node:util'
import { BaseEngine, leaseEngine, nodeRuntime, ObserverSet, ZELOS_STACK } from 'delos'
import { DelosError, entryOf, Stack } from 'delos/engine'
import { type Loglet, type LogletProvider, VirtualLog } from 'delos/log'
import { openMemoryStore, type ReadTx } from 'delos/store'
import { MemoryLogletProvider, MemoryMetaStore, MemoryRegister } from 'delos/testing'
import { paths } from './paths.ts'
import { BenchFailure } from './processes.ts'
import { writePart } from './results-file.ts'
import { UsageError } from './usage-error.ts'

export const USAGE = `npm run bench -- lease [flags]

  --check              exit 1 if leased reads are not 100 times faster at p99
  --quick              2 s of each instead of 6 s
  --write              write the part of leases in bench/RESULTS.md
`

const TAIL_CHECK_MS = 48
const FLOOR = 100
const READERS = 16
const WRITE_EVERY_MS = 20
const DURATION_MS = 1_000
const MARGIN_MS = 100
const SERVING_MS = 10_000
const NAMES = ['a', 'b', 'c']
const COUNT = 'counted\x00n'

const runtime = nodeRuntime()

type Times = { readonly reads: number; readonly p50Us: number; readonly p99Us: number; readonly maxUs: number }

type LeaseFigures = {
  readonly tailCheckMs: number
  readonly byLog: Times
  readonly byLease: Times
  readonly takeoverMs: number
  readonly ratio: number
  readonly floor: number
  readonly holds: boolean
}

type Server = { readonly name: string; readonly stack: Stack<number>; readonly log: VirtualLog; close(): Promise<void> }

/** Returns the exit code: 0, or 1 if `--check` was given and the floor does not hold. */
export async function benchLease(args: readonly string[]): Promise<number> {
  const { check, seconds, write } = parsed(args)
  const figures = await measure(seconds)
  const text = forPeople(figures)
  process.stdout.write(`${text}\n`)
  if (write) writePart(paths.results, 'lease', `## Leased reads\n\n${text}`)
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  return check && !figures.holds ? 1 : 0
}

function parsed(args: readonly string[]): { check: boolean; seconds: number; write: boolean } {
  const flag = { type: 'boolean', default: false } as const
  try {
    const { values } = parseArgs({ args: [...args], options: { check: flag, quick: flag, write: flag } })
    return { check: values.check, seconds: values.quick ? 2 : 6, write: values.write }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function measure(seconds: number): Promise<LeaseFigures> {
  const world = { provider: new MemoryLogletProvider(), register: new MemoryRegister() }
  const servers = await Promise.all(NAMES.map((name) => open(name, world)))
  const [first, ...others] = servers as [Server, ...Server[]]
  await first.stack.enable()
  await until(() => holderOf(servers) !== undefined, 'somebody holds the lease')
  const acknowledged = { count: 0 }
  const writing = { on: true }
  const writes = keepWriting(servers, acknowledged, writing)
  const checked = (began: number, found: number): void => {
    if (found < began) throw new BenchFailure(`a read found ${found}, after ${began} had been acknowledged`)
  }
  const byLog = await readers(seconds, async () => {
    const began = acknowledged.count
    checked(began, countIn(await first.stack.sync()))
  })
  let live: readonly Server[] = servers
  let takeoverMs = 0
  const takeover = sleep((seconds * 1000) / 2).then(async () => {
    const holder = holderOf(servers) as Server
    const startMs = performance.now()
    live = servers.filter((server) => server !== holder)
    // Its process ends; nobody is told.
    gone.add(holder.name)
    await until(() => holderOf(live) !== undefined, 'another server holds the lease')
    takeoverMs = performance.now() - startMs
  })
  const byLease = await readers(seconds + (DURATION_MS * 2) / 1000, async () => {
    const began = acknowledged.count
    const at = holderOf(live) ?? (live[0] as Server)
    const reads = at.stack.leasedReads
    if (reads === undefined) throw new BenchFailure('the stack has no lease')
    checked(began, await reads.read(countIn))
  })
  await takeover
  writing.on = false
  await writes
  await Promise.all([first, ...others].map((server) => server.close()))
  const ratio = byLog.p99Us / byLease.p99Us
  return { tailCheckMs: TAIL_CHECK_MS, byLog, byLease, takeoverMs, ratio, floor: FLOOR, holds: ratio >= FLOOR }
}

// ── servers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Servers whose process is gone: the log takes and gives them nothing. */
const gone = new Set<string>()

async function open(name: string, world: { provider: LogletProvider; register: MemoryRegister }): Promise<Server> {
  const store = openMemoryStore({ runtime })
  const log = await VirtualLog.open({
    ...runtime,
    metastore: new MemoryMetaStore(world.register),
    providers: [slowTail(world.provider, name)],
    initial: { kind: world.provider.kind, params: {} },
  })
  const observers = new ObserverSet({ clock: runtime.clock })
  const lease = leaseEngine({ wants: true, address: name, durationMs: DURATION_MS, marginMs: MARGIN_MS })
  const stack = new Stack<number>({
    ...runtime,
    serverId: name,
    database: 'counted',
    bottom: new BaseEngine({ ...runtime, serverId: name, log, store }),
    engines: [...ZELOS_STACK, lease],
    wrapJoint: observers.wrapJoint,
    jointNames: ['observer'],
    membership: (levels) => ({
      missing: (_tx, engine, level) => ((levels.get(engine) ?? -1) >= level ? [] : NAMES),
      members: () => NAMES,
    }),
  })
  stack.attach({
    apply: (tx) => {
      const count = countIn(tx) + 1
      tx.put(COUNT, Buffer.from(String(count)))
      return count
    },
    postApply: () => undefined,
  })
  await stack.start()
  await stack.whenServing()
  const close = async (): Promise<void> => {
    gone.delete(name)
    await stack.stop()
    await log.close()
    await store.close()
  }
  return { name, stack, log, close }
}

function slowTail(inner: LogletProvider, name: string): LogletProvider {
  return {
    kind: inner.kind,
    create: async (config) => slowed(await inner.create(config), name),
    open: async (config) => slowed(await inner.open(config), name),
    destroy: (config) => inner.destroy(config),
    list: () => inner.list(),
  }
}

function slowed(inner: Loglet, name: string): Loglet {
  const cut = <T>(call: () => Promise<T>): Promise<T> =>
    gone.has(name) ? until(() => !gone.has(name)).then(call) : call()
  return {
    maxEntryBytes: inner.maxEntryBytes,
    append: (bytes) => cut(() => inner.append(bytes)),
    checkTail: () =>
      cut(() => sleep(TAIL_CHECK_MS / 2).then(() => inner.checkTail())).then((tail) =>
        sleep(TAIL_CHECK_MS / 2).then(() => tail),
      ),
    readNext: (from, to, maxBytes) => cut(() => inner.readNext(from, to, maxBytes)),
    prefixTrim: (to) => inner.prefixTrim(to),
    seal: (successor) => inner.seal(successor),
    onTailMoved: (listener) => inner.onTailMoved((tail) => !gone.has(name) && listener(tail)),
    marks: () => inner.marks(),
    get trimPoint() {
      return inner.trimPoint
    },
    close: () => inner.close(),
  }
}

function countIn(tx: ReadTx): number {
  const value = tx.get(COUNT)
  return value === undefined ? 0 : Number(Buffer.from(value).toString())
}

function holderOf(servers: readonly Server[]): Server | undefined {
  return servers.find(({ stack }) => stack.layer('lease')?.details().held === true)
}

// ── load ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One write after the other, at whoever holds the lease. */
async function keepWriting(
  servers: readonly Server[],
  acknowledged: { count: number },
  writing: { on: boolean },
): Promise<void> {
  while (writing.on) {
    await sleep(WRITE_EVERY_MS)
    const live = servers.filter(({ name }) => !gone.has(name))
    const holder = holderOf(live)
    if (holder === undefined) continue
    try {
      const count = await holder.stack.propose(entryOf(Buffer.from('one')))
      acknowledged.count = Math.max(acknowledged.count, count)
    } catch (error) {
      // Between two holders.
      if (!(error instanceof DelosError)) throw error
    }
  }
}

/** So many at a time, each again and again. */
async function readers(seconds: number, read: () => Promise<void>): Promise<Times> {
  const timesUs: number[] = []
  const endMs = performance.now() + seconds * 1000
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      while (performance.now() < endMs) {
        const startMs = performance.now()
        await read()
        timesUs.push((performance.now() - startMs) * 1000)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }),
  )
  timesUs.sort((a, b) => a - b)
  const at = (share: number): number => timesUs[Math.min(timesUs.length - 1, Math.floor(timesUs.length * share))] ?? 0
  return { reads: timesUs.length, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function until(condition: () => boolean, what = 'the end'): Promise<void> {
  const endMs = performance.now() + SERVING_MS * 6
  while (!condition()) {
    if (performance.now() > endMs) throw new BenchFailure(`waited too long until ${what}`)
    await sleep(5)
  }
}

function forPeople({ byLease, byLog, ratio, takeoverMs }: LeaseFigures): string {
  const row = (name: string, { maxUs, p50Us, p99Us, reads }: Times): string =>
    `| ${name} | ${reads} | ${us(p50Us)} | ${us(p99Us)} | ${us(maxUs)} |`
  return [
    `Linearizable reads through the whole stack of Zelos and Lease, ${READERS} at a time, three servers, a tail check of ${TAIL_CHECK_MS} ms,`,
    `a write every ${WRITE_EVERY_MS} ms; the holder of the lease is gone in mid-run, and another has it ${Math.round(takeoverMs)} ms later.`,
    '',
    '| reads | count | p50 | p99 | max |',
    '|---|---|---|---|---|',
    row('by the log', byLog),
    row('by the lease', byLease),
    '',
    `p99 ${ratio.toFixed(0)}× lower; at least ${FLOOR}× is demanded.`,
  ].join('\n')
}

function us(value: number): string {
  return value < 1000 ? `${value.toFixed(1)} µs` : `${(value / 1000).toFixed(1)} ms`
}
