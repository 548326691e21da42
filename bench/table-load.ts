// Tables under load in this process: embedded, durable, on the production stack. Prints one JSON value. Arguments: directory,
// seconds per figure, rows of the large part (0: leave it out).
import { openServer, type Server } from 'delos'
import { defineTable, enumOf, int64, string, type Tables } from 'delos/table'
import type { LargeFigures, TableFigures } from './table-figures.ts'

const ROWS = 100_000
/** Those that are read and written by key. */
const HOT = 10_000
const IN_FLIGHT = 1000
const LOAD_BATCH = 500
const RACKS = 100
const MIXED_MS = 60_000

const machines = defineTable({
  name: 'machines',
  columns: { id: int64(), rack: string(), state: enumOf('free', 'taken', 'broken'), owner: string(), load: int64() },
  key: ['id'],
  indexes: { byRack: { columns: ['rack', 'state'], include: ['load'] } },
})

/** Nobody writes to it while it is scanned. */
const scannedMachines = { ...machines, name: 'scanned' }

const large = defineTable({
  name: 'large',
  columns: { id: int64(), owner: string(), rack: string(), load: int64() },
  key: ['id'],
  indexes: { byOwner: { columns: ['owner'] }, byRack: { columns: ['rack', 'load'] } },
})

const rackOf = (i: number): string => `rack-${i % RACKS}`
const stateOf = (i: number): 'free' | 'taken' => (i % 3 === 0 ? 'taken' : 'free')

function row(i: number) {
  return { id: BigInt(i), rack: rackOf(i), state: stateOf(i), owner: `owner-${i % 1000}`, load: BigInt(i) }
}

/** Calls `operation` with so many under way until the time is over; the number per second. */
async function perSecond(ms: number, inFlight: number, operation: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0
  let done = 0
  const startMs = performance.now()
  const endMs = startMs + ms
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await operation(next++)
      done++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, client))
  return Math.round((done * 1000) / (performance.now() - startMs))
}

async function load(db: Tables, table: typeof machines, rows: number): Promise<void> {
  const batches = Math.ceil(rows / LOAD_BATCH)
  let next = 0
  const client = async (): Promise<void> => {
    for (let at = next++; at < batches; at = next++) {
      await db.batch((batch) => {
        for (let i = at * LOAD_BATCH; i < Math.min(rows, (at + 1) * LOAD_BATCH); i++) batch.upsert(table, row(i))
      })
    }
  }
  await Promise.all(Array.from({ length: 8 }, client))
}

async function measure(db: Tables, ms: number): Promise<TableFigures> {
  for (const table of [machines, scannedMachines]) {
    await db.migrate(table)
    await load(db, table, ROWS)
  }
  const key = (i: number) => ({ id: BigInt((i * 7919) % HOT) })
  const get = (i: number) => db.get(machines, key(i))
  await perSecond(ms / 2, IN_FLIGHT, get)
  const pointReads = await perSecond(ms, IN_FLIGHT, get)
  const upsert = (i: number) =>
    db.upsert(machines, { ...row((i * 7919) % HOT), state: i % 2 === 0 ? 'free' : 'broken' })
  await perSecond(ms / 2, IN_FLIGHT, upsert)
  const upserts = await perSecond(ms, IN_FLIGHT, upsert)
  // In each round of all keys the other state: the entry of the index goes to another place.
  const move = (i: number) =>
    db.upsert(machines, { ...row((i * 7919) % HOT), state: Math.floor(i / HOT) % 2 === 0 ? 'free' : 'broken' })
  await perSecond(ms / 2, IN_FLIGHT, move)
  const movingUpserts = await perSecond(ms, IN_FLIGHT, move)
  const transact = (i: number) => {
    // Five rows of its own: nobody is in the way.
    const base = BigInt((i % (HOT / 5)) * 5)
    return db.transaction(async (tx) => {
      const [a, b, c] = await Promise.all([0n, 1n, 2n].map((at) => tx.get(machines, { id: base + at })))
      tx.update(machines, { id: base }, { set: { load: (a?.load ?? 0n) + (b?.load ?? 0n) } })
      tx.update(machines, { id: base + 1n }, { set: { load: c?.load ?? 0n } })
    })
  }
  await perSecond(ms / 2, IN_FLIGHT, transact)
  const transactions = await perSecond(ms, IN_FLIGHT, transact)
  await scanned(db, ms / 2)
  return { pointReads, upserts, movingUpserts, transactions, scannedRows: await scanned(db, ms) }
}

/** Rows a second that a scan of a covering index looks at, half of which its filter lets through. */
async function scanned(db: Tables, ms: number): Promise<number> {
  const startMs = performance.now()
  let rows = 0
  while (performance.now() - startMs < ms) {
    let page: string | undefined
    do {
      const scan = {
        index: 'byRack',
        select: ['rack', 'state', 'load'],
        filter: { load: { gte: 0n } },
        limit: 2000,
        page,
      } as const
      const answer = await db.scan(scannedMachines, scan)
      rows += answer.rows.length
      page = answer.page
    } while (page !== undefined)
  }
  return Math.round((rows * 1000) / (performance.now() - startMs))
}

async function loadLarge(db: Tables, rows: number): Promise<void> {
  let next = 0
  const client = async (): Promise<void> => {
    for (let from = next; from < rows; from = next) {
      next += LOAD_BATCH
      await db.batch((batch) => {
        for (let i = from; i < Math.min(rows, from + LOAD_BATCH); i++) {
          batch.upsert(large, { id: BigInt(i), owner: `owner-${i % 50_000}`, rack: rackOf(i), load: BigInt(i % 977) })
        }
      })
    }
  }
  await Promise.all(Array.from({ length: 4 }, client))
}

/** In seconds. A function of its own: nothing of the closed server stays in reach. */
async function loadAndClose(open: () => Promise<Server>, rows: number): Promise<number> {
  const server = await open()
  await server.tables.migrate(large)
  const startMs = performance.now()
  await loadLarge(server.tables, rows)
  const seconds = (performance.now() - startMs) / 1000
  await server.close()
  return seconds
}

/** Loading, a restart, a minute of mixed load; the peak of memory over all of it. */
async function measureLarge(open: () => Promise<Server>, rows: number): Promise<LargeFigures> {
  const loadSeconds = await loadAndClose(open, rows)
  const startMs = performance.now()
  const server = await open()
  const restartMs = performance.now() - startMs
  const times: number[] = []
  const db = server.tables
  await perSecond(MIXED_MS, 16, async (i) => {
    const id = BigInt((i * 7_368_787) % rows)
    if (i % 4 === 3) return await db.update(large, { id }, { increment: { load: 1n } })
    if (i % 64 === 1) return await db.scan(large, { index: 'byOwner', prefix: { owner: `owner-${i % 50_000}` } })
    const getMs = performance.now()
    await db.get(large, { id })
    times.push(performance.now() - getMs)
  })
  times.sort((a, b) => a - b)
  await server.close()
  return {
    rows,
    loadSeconds: Math.round(loadSeconds),
    restartMs: Math.round(restartMs),
    getP99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
    peakMebibytes: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}

const [dataDir = './data', seconds = '2', rows = '0'] = process.argv.slice(2)
const open = (): Promise<Server> => openServer({ dataDir, databases: ['table'], log: { retentionHours: 0 } })
if (rows === '0') {
  const server = await open()
  const figures = await measure(server.tables, Number(seconds) * 1000)
  await server.close()
  process.stdout.write(`${JSON.stringify(figures)}\n`)
} else {
  process.stdout.write(`${JSON.stringify(await measureLarge(open, Number(rows)))}\n`)
}
