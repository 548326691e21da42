// A process with tables, for a test that kills it under load: each line on stdin is a payment, each line on stdout an answer
// to one. The tables are those of test/table-crash.test.ts, which makes them.

import { createInterface } from 'node:readline'
import { openServer } from 'delos'

const server = await openServer({ dataDir: process.argv[2], databases: ['table'] })
const db = server.tables
const accounts = { name: 'accounts' }
const entries = { name: 'entries' }

/** Writes without reads: nothing but the token keeps a second one from being applied. */
function deposit({ amount, request, to }) {
  const fill = (batch) =>
    batch
      .insert(entries, { request, account: to, amount: BigInt(amount) })
      .update(accounts, { id: to }, { increment: { balance: BigInt(amount) } })
  return db.batch(fill, { token: request })
}

/** Reads and writes two accounts, whose holders change places. */
function transfer({ amount, from, request, to }) {
  const body = async (tx) => {
    const [giver, taker] = [await tx.get(accounts, { id: from }), await tx.get(accounts, { id: to })]
    tx.update(accounts, { id: from }, { set: { holder: null, balance: giver.balance - BigInt(amount) } })
    tx.update(accounts, { id: to }, { set: { holder: giver.holder, balance: taker.balance + BigInt(amount) } })
    tx.update(accounts, { id: from }, { set: { holder: taker.holder } })
    tx.insert(entries, { request, account: from, amount: -BigInt(amount) })
    tx.insert(entries, { request, account: to, amount: BigInt(amount) })
  }
  return db.transaction(body, { token: request, attempts: 200 })
}

async function answer(payment) {
  const { request } = payment
  try {
    const { ok, repeated, detail } = await (payment.from === undefined ? deposit(payment) : transfer(payment))
    return { request, ok, repeated, detail }
  } catch (error) {
    return { request, ok: false, detail: String(error) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  void answer(JSON.parse(line)).then((said) => process.stdout.write(`${JSON.stringify(said)}\n`))
}
