// The real process is killed in the middle of transactions, again and again; a client asks again for what it got no answer to,
// with the token of the first time. What a disk does on power loss is the simulator's to show.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openServer } from '../src/node/open-server.ts'
import { int64, string, uuid } from '../src/table/schema/columns.ts'
import { defineTable, desc } from '../src/table/schema/define-table.ts'
import type { RowOf } from '../src/table/schema/row-types.ts'
import type { Tables } from '../src/table/tables.ts'
import { SeededRandom } from './support/seeded-random.ts'
import { tempDir } from './support/temp-dir.ts'

const PROGRAM = fileURLToPath(new URL('support/table-payments.mjs', import.meta.url))
const ROUNDS = 8
const WINDOW = 32
const ACCOUNTS = 200
const LARGE = 80n

const accounts = defineTable({
  name: 'accounts',
  columns: { id: string(), holder: string().nullable(), balance: int64() },
  key: ['id'],
  indexes: {
    byHolder: { columns: ['holder'], unique: true },
    byBalance: { columns: [desc('balance')], include: ['holder'] },
  },
})

const entries = defineTable({
  name: 'entries',
  columns: { id: uuid(), request: string(), account: string(), amount: int64() },
  key: ['id'],
  indexes: {
    byRequest: { columns: ['request'], include: ['account', 'amount'] },
    byAccount: { columns: ['account', desc('amount')] },
    large: { columns: ['amount'], where: { amount: { gte: LARGE } } },
  },
})

interface Payment {
  readonly request: string
  /** Undefined: a deposit. */
  readonly from?: string
  readonly to: string
  readonly amount: number
}

const random = SeededRandom.announced('table crash test')
const acknowledged = new Map<string, Payment>()
/** Asked for, no answer. */
const open = new Map<string, Payment>()
let asked = 0
let repeated = 0

function nextPayment(): Payment {
  const to = random.below(ACCOUNTS)
  const payment = { request: `p${asked++}`, to: `a${to}`, amount: random.between(1, 100) }
  return random.chance(0.5) ? payment : { ...payment, from: `a${(to + random.between(1, ACCOUNTS - 1)) % ACCOUNTS}` }
}

/** Asks again for what is open, then for `more` new ones, WINDOW at a time, and kills the process after `answers`. */
async function payAndKill(dataDir: string, answers: number, more: number): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, dataDir], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  child.stdin.on('error', () => undefined) // Its end is how this ends.
  const toAsk = [...open.values()]
  let left = more
  const ask = (): void => {
    const payment = toAsk.pop() ?? (left-- > 0 ? nextPayment() : undefined)
    if (payment === undefined) return
    open.set(payment.request, payment)
    child.stdin.write(`${JSON.stringify(payment)}\n`)
  }
  for (let i = 0; i < WINDOW; i++) ask()
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const answer = JSON.parse(line) as { request: string; ok: boolean; repeated?: boolean; detail?: string }
    expect(answer).toMatchObject({ ok: true })
    if (answer.repeated) repeated++
    acknowledged.set(answer.request, open.get(answer.request) as Payment)
    open.delete(answer.request)
    if (++seen === answers) child.kill('SIGKILL')
    if (seen < answers) ask()
  }
  expect(await ended).toEqual([null, 'SIGKILL'])
}

async function withTables<R>(dataDir: string, body: (db: Tables) => Promise<R>): Promise<R> {
  const server = await openServer({ dataDir, databases: ['table'] })
  try {
    return await body(server.tables)
  } finally {
    await server.close()
  }
}

async function all<R>(rows: AsyncIterable<R>): Promise<R[]> {
  const list: R[] = []
  for await (const row of rows) list.push(row)
  return list
}

/** What a payment has to leave: account and amount of its entries. */
function entriesOf({ amount, from, to }: Payment): string[] {
  return from === undefined ? [`${to} ${amount}`] : [`${from} ${-amount}`, `${to} ${amount}`].toSorted()
}

/** Every acknowledged payment is there once, every open one once or not at all, and nobody else's. */
function checkPayments(found: readonly RowOf<typeof entries>[]): void {
  const byRequest = new Map<string, string[]>()
  for (const { account, amount, request } of found) {
    byRequest.set(request, [...(byRequest.get(request) ?? []), `${account} ${amount}`])
  }
  for (const [request, payment] of acknowledged) {
    expect([request, byRequest.get(request)?.toSorted()]).toEqual([request, entriesOf(payment)])
  }
  for (const [request, left] of byRequest) {
    const payment = acknowledged.get(request) ?? open.get(request)
    expect([request, left.toSorted()]).toEqual([request, payment && entriesOf(payment)])
  }
}

type Order<R> = (a: R, b: R) => number
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Every index shows what a scan of all rows would, in its order. */
async function checkIndexes(db: Tables): Promise<void> {
  const rows = await all(db.rows(entries))
  const sorted = (order: Order<RowOf<typeof entries>>) => rows.toSorted((a, b) => order(a, b) || byText(a.id, b.id))
  expect(await all(db.rows(entries, { index: 'byRequest' }))).toEqual(sorted((a, b) => byText(a.request, b.request)))
  expect(await all(db.rows(entries, { index: 'byAccount' }))).toEqual(
    sorted((a, b) => byText(a.account, b.account) || Number(b.amount - a.amount)),
  )
  expect(await all(db.rows(entries, { index: 'large' }))).toEqual(
    sorted((a, b) => Number(a.amount - b.amount)).filter(({ amount }) => amount >= LARGE),
  )
  expect(await db.count(entries)).toBe(rows.length)
  const holders = await all(db.rows(accounts))
  expect(await all(db.rows(accounts, { index: 'byHolder' }))).toEqual(
    holders.toSorted((a, b) => byText(a.holder ?? '', b.holder ?? '')),
  )
  expect(await all(db.rows(accounts, { index: 'byBalance' }))).toEqual(
    holders.toSorted((a, b) => Number(b.balance - a.balance) || byText(a.id, b.id)),
  )
}

/** Accounts and entries were written by the same transactions: they agree. */
async function checkBalances(db: Tables): Promise<void> {
  const sums = new Map<string, bigint>()
  for await (const { account, amount } of db.rows(entries)) sums.set(account, (sums.get(account) ?? 0n) + amount)
  const rows = await all(db.rows(accounts))
  for (const { balance, id } of rows) expect([id, balance]).toEqual([id, sums.get(id) ?? 0n])
  expect(new Set(rows.map(({ holder }) => holder)).size).toBe(ACCOUNTS)
}

async function check(db: Tables): Promise<void> {
  checkPayments(await all(db.rows(entries)))
  await checkIndexes(db)
  await checkBalances(db)
}

it(`after each of ${ROUNDS} kills every acknowledged transaction is there once, and again after its retries`, async () => {
  const dataDir = tempDir('table-crash')
  await withTables(dataDir, async (db) => {
    await db.migrate(accounts)
    await db.migrate(entries)
    await db.batch((batch) => {
      for (let i = 0; i < ACCOUNTS; i++) batch.insert(accounts, { id: `a${i}`, holder: `h${i}`, balance: 0n })
    })
  })
  for (let round = 0; round < ROUNDS; round++) {
    const answers = random.between(WINDOW, 400)
    await payAndKill(dataDir, answers, answers + WINDOW)
    await withTables(dataDir, check)
  }
  await payAndKill(dataDir, open.size, 0)
  expect([open.size, acknowledged.size]).toEqual([0, asked])
  await withTables(dataDir, check)
  console.log(`${asked} transactions, ${repeated} of them were applied when they were asked for again`)
  expect(acknowledged.size).toBeGreaterThan(ROUNDS * WINDOW)
})
