import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openTableServer, type TableServer } from '../../test/support/table-server.ts'
import { DelosError } from '../base/delos-error.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { RETENTION_RECORD } from './codec/table-keys.ts'
import type { TransactionRequest } from './messages.ts'
import { bool, int64, json, string, uuid } from './schema/columns.ts'
import { defineTable, desc } from './schema/define-table.ts'
import { TableDatabase } from './table-database.ts'
import type { TableTransaction } from './table-transaction.ts'
import { type ChangesOptions, Tables } from './tables.ts'

const doctors = defineTable({
  name: 'doctors',
  columns: { id: string(), ward: string(), onCall: int64(), note: string().default(''), flag: bool().default(true) },
  key: ['id'],
  indexes: {
    byWard: { columns: ['ward'], include: ['onCall'] },
    byNote: { columns: ['note'] },
    byFlag: { columns: [desc('flag')] },
  },
})

let server: TableServer
let db: Tables

beforeEach(async () => {
  server = await openTableServer()
  await server.stack.enable()
  db = server.db
  await db.migrate(doctors)
  for (const id of ['a', 'b', 'c']) await db.insert(doctors, { id, ward: 'x', onCall: 1n })
})

afterEach(() => server.close())

/** A transaction that reads and writes, with a token, as it is sent. */
async function readAndWritten() {
  let request: TransactionRequest | undefined
  const { database } = server
  const seen = Object.assign(Object.create(database) as typeof database, {
    transact: (sent: TransactionRequest) => {
      request = sent
      return Promise.reject(new DelosError('CLOSED', 'not sent'))
    },
  })
  const run = new Tables(seen, nodeRuntime()).transaction(async (tx) => {
    await tx.get(doctors, { id: 'a' })
    tx.update(doctors, { id: 'a' }, { increment: { onCall: 1n } })
  })
  await expect(run).rejects.toMatchObject({ code: 'CLOSED' })
  return request as TransactionRequest
}

/** Runs `between` once, inside the first attempt of a transaction, after its reads. */
function interrupted(between: () => Promise<unknown>): () => Promise<void> {
  let left = 1
  return async () => {
    if (left-- > 0) await between()
  }
}

describe('transactions', () => {
  it('apply all writes or none', async () => {
    const rejected = await db.transaction((tx) => {
      tx.update(doctors, { id: 'a' }, { set: { ward: 'y', note: 'changed' } })
      tx.insert(doctors, { id: 'd', ward: 'y', onCall: 0n })
      tx.insert(doctors, { id: 'b', ward: 'y', onCall: 0n })
    })
    expect(rejected).toMatchObject({ ok: false, operation: 2, reason: 'exists', current: { id: 'b' } })
    expect(await db.count(doctors)).toBe(3)
    expect((await db.scan(doctors, { index: 'byWard', prefix: { ward: 'y' } })).rows).toEqual([])
    expect((await db.scan(doctors, { index: 'byNote', prefix: { note: 'changed' } })).rows).toEqual([])
    const again = await db.transaction((tx) => {
      tx.update(doctors, { id: 'a' }, { set: { ward: 'y' } })
      tx.delete(doctors, { id: 'b' })
    })
    expect(again).toMatchObject({ ok: true, position: 4 })
    expect(await db.count(doctors)).toBe(2)
  })

  it('without reads wait for whoever fills them', async () => {
    const result = await db.batch(async (batch) => {
      await db.get(doctors, { id: 'a' })
      batch.delete(doctors, { id: 'a' })
    })
    expect([result.ok, await db.get(doctors, { id: 'a' })]).toEqual([true, undefined])
  })

  it('conflict when a row that was read has changed, and are run again', async () => {
    let runs = 0
    const between = interrupted(() => db.update(doctors, { id: 'a' }, { increment: { onCall: 5n } }))
    const result = await db.transaction(async (tx) => {
      runs++
      const doctor = await tx.get(doctors, { id: 'a' })
      await between()
      tx.update(doctors, { id: 'a' }, { set: { onCall: (doctor?.onCall ?? 0n) + 1n } })
      return doctor?.onCall
    })
    expect(result).toMatchObject({ ok: true, value: 6n })
    expect(runs).toBe(2)
    expect((await db.get(doctors, { id: 'a' }))?.onCall).toBe(7n)
  })

  it('conflict when a row that was read as absent is there', async () => {
    const between = interrupted(() => db.insert(doctors, { id: 'd', ward: 'x', onCall: 0n }))
    const result = await db.transaction(async (tx) => {
      const doctor = await tx.get(doctors, { id: 'd' })
      await between()
      if (doctor === undefined) tx.insert(doctors, { id: 'd', ward: 'new', onCall: 0n })
      return doctor === undefined
    })
    expect(result).toMatchObject({ ok: true, value: false })
    expect((await db.get(doctors, { id: 'd' }))?.ward).toBe('x')
  })

  for (const [what, scan] of [
    ['the primary key', { from: { id: 'a' }, to: { id: 'm' } }],
    ['an index that has all columns', { index: 'byWard', prefix: { ward: 'x' }, select: ['onCall'] }],
    ['an index that leads to rows', { index: 'byWard', prefix: { ward: 'x' } }],
  ] as const) {
    it(`see no phantoms: a row that came into a range of ${what} is a conflict`, async () => {
      const between = interrupted(() => db.insert(doctors, { id: 'd', ward: 'x', onCall: 1n }))
      let runs = 0
      const result = await db.transaction(async (tx) => {
        runs++
        const { rows } = await tx.scan(doctors, scan)
        await between()
        tx.upsert(doctors, { id: 'total', ward: 'sum', onCall: BigInt(rows.length) })
      })
      expect(result.ok).toBe(true)
      expect(runs).toBe(2)
      expect((await db.get(doctors, { id: 'total' }))?.onCall).toBe(4n)
    })

    it(`allow no write skew over ${what}: somebody always stays on call`, async () => {
      const leave = (id: string) =>
        db.transaction(async (tx) => {
          const { rows } = await tx.scan(doctors, { ...(scan as object), filter: { onCall: 1n } })
          if (rows.length > 1) tx.update(doctors, { id }, { set: { onCall: 0n } })
          return rows.length
        })
      const results = await Promise.all(['a', 'b', 'c'].map(leave))
      expect(results.every(({ ok }) => ok)).toBe(true)
      expect(await db.count(doctors, { filter: { onCall: 1n } })).toBe(1)
    })
  }

  it('do not conflict with themselves, whatever the order of a scan, and whether or not there is anything in it', async () => {
    for (const scan of [
      { reverse: true },
      { reverse: true, limit: 2 },
      { index: 'byWard', reverse: true },
      { index: 'byWard', reverse: true, select: ['onCall'] },
      { index: 'byWard', after: { ward: 'x' } },
      { index: 'byFlag', after: { flag: false } },
      { from: { id: 'z' }, to: { id: 'a' } },
    ] as const) {
      const body = async (tx: TableTransaction) => {
        await tx.scan(doctors, scan)
        tx.insert(doctors, { id: 'new', ward: 'x', onCall: 1n })
      }
      expect(await db.transaction(body, { attempts: 1 })).toMatchObject({ ok: true })
      await db.delete(doctors, { id: 'new' })
    }
  })

  it('conflict over a range that was scanned from its end', async () => {
    let runs = 0
    const between = interrupted(() => db.insert(doctors, { id: 'bb', ward: 'x', onCall: 1n }))
    await db.transaction(async (tx) => {
      runs++
      await tx.scan(doctors, { reverse: true, limit: 2 })
      await between()
      tx.update(doctors, { id: 'a' }, { set: { onCall: 2n } })
    })
    expect(runs).toBe(2)
  })

  it('do not conflict over what lies outside of the ranges that they read', async () => {
    let runs = 0
    const between = interrupted(() => db.insert(doctors, { id: 'z', ward: 'z', onCall: 1n }))
    const result = await db.transaction(async (tx) => {
      runs++
      await tx.scan(doctors, { to: { id: 'm' } })
      await tx.scan(doctors, { index: 'byWard', limit: 1 })
      await between()
      tx.insert(doctors, { id: 'd', ward: 'x', onCall: 1n })
    })
    expect(result.ok).toBe(true)
    expect(runs).toBe(1)
  })

  it('conflict when what they read has another schema since, whatever its versions say', async () => {
    const byNote = { ...doctors.indexes, byNote: { columns: ['ward'] } } as const
    const changes: [() => Promise<unknown>, (tx: TableTransaction) => Promise<unknown>][] = [
      // An index of another meaning under the same name: the empty range of before is empty in it too.
      [
        () => db.migrate({ ...doctors, indexes: byNote }),
        (tx) => tx.scan(doctors, { index: 'byNote', prefix: { note: 'new' } }),
      ],
      // Another table of the same name.
      [
        async () => {
          await db.schema.drop(doctors)
          await db.migrate(doctors)
        },
        (tx) => tx.get(doctors, { id: 'nobody' }),
      ],
    ]
    for (const [between, read] of changes) {
      let runs = 0
      const once = interrupted(async () => {
        await between()
        await db.insert(doctors, { id: 'n', ward: 'w', onCall: 0n, note: 'new' })
      })
      await db.transaction(async (tx) => {
        runs++
        await read(tx).catch((error: DelosError) => {
          // The new index has no such column.
          if (runs === 1) throw error
        })
        await once()
        tx.upsert(doctors, { id: 'z', ward: 'z', onCall: 1n })
      })
      expect(runs).toBe(2)
    }
  })

  it('that are asked for again under another schema are applied once', async () => {
    const tx = await readAndWritten()
    expect((await server.database.transact(tx)).kind).toBe('committed')
    await db.migrate(defineTable({ ...doctors, columns: { ...doctors.columns, more: int64().default(0n) } }))
    expect((await server.database.transact(tx)).kind).toBe('repeated')
    expect((await server.database.transact({ ...tx, token: 'another' })).kind).toBe('conflict')
  })

  it('fail over what is so, not over what was so before', async () => {
    let runs = 0
    const between = interrupted(() => db.update(doctors, { id: 'a' }, { increment: { onCall: 5n } }))
    const result = await db.transaction(async (tx) => {
      runs++
      const doctor = await tx.get(doctors, { id: 'a' })
      await between()
      if (doctor?.onCall === 1n) throw new Error('too few')
      return doctor?.onCall
    })
    expect([runs, result]).toMatchObject([2, { ok: true, value: 6n }])
    const failing = db.transaction(async (tx) => {
      runs++
      await tx.get(doctors, { id: 'a' })
      throw new Error('because it is so')
    })
    await expect(failing).rejects.toThrow('because it is so')
    expect(runs).toBe(3)
  })

  it('find a table that was made a moment ago at another server', async () => {
    const news = defineTable({ name: 'news', columns: { id: string() }, key: ['id'] })
    const result = await db.transaction((tx) =>
      tx.get(news, { id: 'x' }).catch(async (error) => {
        await db.migrate(news)
        throw error
      }),
    )
    expect(result).toMatchObject({ ok: true, value: undefined })
  })

  it('whose answer was lost stay INDETERMINATE when they are refused the next time', async () => {
    const { database } = server
    const said = ['INDETERMINATE', 'CLOSED'] as const
    let asked = 0
    const unlucky = Object.assign(Object.create(database) as typeof database, {
      transact: () => Promise.reject(new DelosError(said[asked++] as (typeof said)[number], 'no answer')),
    })
    const run = new Tables(unlucky, nodeRuntime()).transaction((tx) => tx.delete(doctors, { id: 'a' }))
    await expect(run).rejects.toMatchObject({ code: 'INDETERMINATE' })
    expect(asked).toBe(2)
  })

  it('give up after so many attempts, with CONFLICT', async () => {
    const run = db.transaction(
      async (tx) => {
        await tx.get(doctors, { id: 'a' })
        await db.update(doctors, { id: 'a' }, { increment: { onCall: 1n } })
        tx.delete(doctors, { id: 'a' })
      },
      { attempts: 3 },
    )
    await expect(run).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  it('with a token are applied once', async () => {
    const add = () => db.update(doctors, { id: 'a' }, { increment: { onCall: 1n } }, { token: 'once' })
    const results = await Promise.all([add(), add(), add()])
    expect(results.map((result) => result.ok && result.repeated)).toEqual([false, true, true])
    expect(new Set(results.map(({ position }) => position)).size).toBe(1)
    expect((await db.get(doctors, { id: 'a' }))?.onCall).toBe(2n)
    const body = await db.transaction((tx) => tx.delete(doctors, { id: 'a' }), { token: 'once' })
    expect(body).toMatchObject({ ok: true, repeated: true })
    expect(await db.get(doctors, { id: 'a' })).toBeDefined()
  })

  it('read what they have written: rows, scans both ways, indexes, pages', async () => {
    await db.insert(doctors, { id: 'e', ward: 'y', onCall: 5n })
    const seen: unknown[] = []
    const result = await db.transaction(async (tx) => {
      tx.insert(doctors, { id: 'd', ward: 'x', onCall: 0n })
      tx.update(doctors, { id: 'a' }, { increment: { onCall: 2n } })
      tx.update(doctors, { id: 'a' }, { set: { ward: 'y' }, append: { note: '!' } })
      tx.delete(doctors, { id: 'b' })
      for (const id of ['a', 'b', 'c', 'd', 'nobody']) seen.push((await tx.get(doctors, { id }))?.onCall)
      seen.push((await tx.read(doctors, { id: 'a' })).version)
      for (const scan of [{}, { reverse: true }] as const) {
        seen.push((await tx.scan(doctors, scan)).rows.map(({ id, ward }) => id + ward).join())
      }
      const byWard = { index: 'byWard', prefix: { ward: 'y' } } as const
      seen.push((await tx.scan(doctors, byWard)).rows.map(({ id, note }) => id + note).join())
      const covered = await tx.scan(doctors, { ...byWard, select: ['id', 'onCall'] })
      seen.push(covered.rows.map(({ id, onCall }) => id + onCall).join())
      const first = await tx.scan(doctors, { limit: 2 })
      const { page, rows } = await tx.scan(doctors, { limit: 2, page: first.page })
      seen.push([...first.rows, ...rows].map(({ id }) => id).join())
      seen.push((await tx.scan(doctors, { page })).rows.map(({ id }) => id).join())
      return tx.get(doctors, { id: 'a' })
    })
    expect(seen).toEqual([
      3n,
      undefined,
      1n,
      0n,
      undefined,
      1,
      'ay,cx,dx,ey',
      'ey,dx,cx,ay',
      'a!,e',
      'a3,e5',
      'a,c,d,e',
      '',
    ])
    expect(result).toMatchObject({ ok: true, value: { id: 'a', ward: 'y', onCall: 3n, note: '!' } })
    expect((await db.scan(doctors)).rows.map(({ id, ward }) => id + ward)).toEqual(['ay', 'cx', 'dx', 'ey'])
  })

  it('write the generated columns that they have read', async () => {
    const notes = defineTable({ name: 'notes', columns: { id: uuid(), text: string() }, key: ['id'] })
    await db.migrate(notes)
    const made = await db.transaction(async (tx) => {
      tx.insert(notes, { text: 'x' })
      return (await tx.scan(notes)).rows[0]?.id
    })
    expect((await db.scan(notes)).rows).toEqual([{ id: made.ok && made.value, text: 'x' }])
  })

  it('read JSON as it will be kept', async () => {
    const papers = defineTable({ name: 'papers', columns: { id: string(), any: json() }, key: ['id'] })
    await db.migrate(papers)
    const any: { a: number; b?: number | undefined } = { a: 1, b: undefined }
    const read = await db.transaction(async (tx) => {
      tx.insert(papers, { id: 'a', any: any as never })
      const row = await tx.get(papers, { id: 'a' })
      any.a = 2
      return row?.any
    })
    expect(read.ok && read.value).toStrictEqual({ a: 1 })
    expect((await db.get(papers, { id: 'a' }))?.any).toStrictEqual({ a: 1 })
  })

  it('are rejected for a row that becomes too large, whether they read it or not', async () => {
    const papers = defineTable({ name: 'papers', columns: { id: string(), text: string() }, key: ['id'] })
    await db.migrate(papers)
    await db.insert(papers, { id: 'a', text: 'x'.repeat(700_000) })
    for (const reads of [false, true]) {
      const result = await db.transaction(async (tx) => {
        tx.update(papers, { id: 'a' }, { append: { text: 'y'.repeat(700_000) } })
        if (reads) await tx.get(papers, { id: 'a' })
      })
      expect(result).toMatchObject({ ok: false, reason: 'size' })
    }
  })

  it('go on where a table changes that they write to and have not read', async () => {
    const first = defineTable({ name: 'log', columns: { id: string(), old: string().default('') }, key: ['id'] })
    const second = defineTable({ name: 'log', columns: { id: string() }, key: ['id'] })
    await db.migrate(first)
    let runs = 0
    const once = interrupted(() => db.migrate(second, { drop: ['old'] }))
    const result = await db.transaction(async (tx) => {
      runs++
      tx.insert(second, { id: 'a' })
      tx.update(doctors, { id: 'a' }, { increment: { onCall: 1n } })
      await tx.get(doctors, { id: 'a' })
      await once()
    })
    expect([runs, result.ok]).toEqual([1, true])
    expect((await db.scan(second)).rows).toEqual([{ id: 'a' }])
  })

  it.each([
    ['a row beside their own in the range', () => db.insert(doctors, { id: 'bb', ward: 'x', onCall: 9n }), 2],
    ['the row under their own', () => db.update(doctors, { id: 'b' }, { set: { note: 'n' } }), 2],
    ['a row behind what the page showed', () => db.insert(doctors, { id: 'z', ward: 'x', onCall: 9n }), 1],
  ])('that scan over their own writes heed %s', async (_what, between, expected) => {
    let runs = 0
    const once = interrupted(between)
    await db.transaction(async (tx) => {
      runs++
      tx.delete(doctors, { id: 'b' })
      tx.upsert(doctors, { id: 'bc', ward: 'x', onCall: 0n })
      await tx.scan(doctors, { limit: 3 })
      await once()
    })
    expect(runs).toBe(expected)
  })
})

describe('read levels', () => {
  it('show at another server what was acknowledged, linearizable, in a session, or not too stale', async () => {
    const other = await openTableServer({ shared: server.shared, serverId: 'b' })
    const written = await db.insert(doctors, { id: 'd', ward: 'x', onCall: 0n })
    expect(await other.db.get(doctors, { id: 'd' }, { level: { session: written.position } })).toBeDefined()
    await db.insert(doctors, { id: 'e', ward: 'x', onCall: 0n })
    expect(await other.db.get(doctors, { id: 'e' })).toBeDefined()
    await db.insert(doctors, { id: 'f', ward: 'x', onCall: 0n })
    expect(await other.db.get(doctors, { id: 'f' }, { level: { staleMs: 0 } })).toBeDefined()
    const ahead = other.db.get(doctors, { id: 'f' }, { level: { session: 1000 } })
    await expect(ahead).rejects.toMatchObject({ code: 'MISMATCH' })
    expect(other.content()).toEqual(server.content())
    await other.close()
  })

  it('show a snapshot as it was at a position: rows, scans both ways, indexes, counts', async () => {
    const { position } = db
    const all = await db.scan(doctors)
    const byWard = await db.scan(doctors, { index: 'byWard' })
    await db.delete(doctors, { id: 'b' })
    await db.update(doctors, { id: 'a' }, { set: { ward: 'z' } })
    await db.insert(doctors, { id: 'aa', ward: 'x', onCall: 9n })
    const level = { snapshot: position }
    expect((await db.scan(doctors, {}, { level })).rows).toEqual(all.rows)
    expect((await db.scan(doctors, { reverse: true }, { level })).rows).toEqual(all.rows.toReversed())
    expect((await db.scan(doctors, { index: 'byWard' }, { level })).rows).toEqual(byWard.rows)
    expect(await db.get(doctors, { id: 'b' }, { level })).toMatchObject({ ward: 'x' })
    expect(await db.get(doctors, { id: 'aa' }, { level })).toBeUndefined()
    expect(await db.count(doctors, {}, { level })).toBe(3)
    expect(await db.count(doctors, { index: 'byWard', prefix: { ward: 'z' } })).toBe(1)
    const seen: string[] = []
    for await (const { id } of db.rows(doctors, { limit: 1 }, { level })) seen.push(id)
    expect(seen).toEqual(['a', 'b', 'c'])
  })

  it('through a unique index that came later is refused where rows had the same values', async () => {
    const { position } = db
    await db.update(doctors, { id: 'a' }, { set: { ward: 'y' } })
    await db.update(doctors, { id: 'b' }, { set: { ward: 'z' } })
    const later = defineTable({ ...doctors, indexes: { only: { columns: ['ward'], unique: true } } })
    await db.migrate(later)
    await db.schema.ready(later)
    const level = { snapshot: position }
    for (const limit of [1, 10]) {
      await expect(db.scan(later, { index: 'only', limit }, { level })).rejects.toMatchObject({
        code: 'INDEX_NOT_READY',
        message: expect.stringContaining('read by the primary key'),
      })
    }
    expect((await db.scan(later, {}, { level })).rows).toHaveLength(3)
    expect((await db.scan(later, { index: 'only' })).rows).toHaveLength(3)
  })

  it('hold few of the rows that have changed since, however many those are', async () => {
    const small = await openTableServer({ limits: { snapshotBytesMax: 500 } })
    await small.db.migrate(doctors)
    const ids = Array.from({ length: 40 }, (_, i) => `d${String(i).padStart(2, '0')}`)
    for (const id of ids) await small.db.insert(doctors, { id, ward: 'x', onCall: 0n })
    const level = { snapshot: small.db.position }
    await Promise.all(
      ids.map((id, i) => {
        if (i % 3 === 0) return small.db.delete(doctors, { id })
        return i % 3 === 1 ? small.db.update(doctors, { id }, { set: { ward: 'y' } }) : undefined
      }),
    )
    for (const scan of [{}, { reverse: true }, { index: 'byWard' }, { index: 'byFlag', reverse: true }] as const) {
      const seen: string[] = []
      for await (const { id, ward } of small.db.rows(doctors, { ...scan, limit: 7 }, { level })) seen.push(id + ward)
      const expected = ids.map((id) => `${id}x`)
      expect(seen, JSON.stringify(scan)).toEqual('reverse' in scan ? expected.toReversed() : expected)
    }
    expect(await small.db.count(doctors, {}, { level })).toBe(40)
    expect(await small.db.count(doctors, { filter: { ward: 'x' } }, { level })).toBe(40)
    expect(await small.db.get(doctors, { id: 'd00' }, { level })).toMatchObject({ ward: 'x' })
    expect(await small.db.get(doctors, { id: 'e' }, { level })).toBeUndefined()
    // Many rows that are not there now: one walk, not one for each.
    const { pastWalks } = small.database.stats()
    const many = await small.db.getMany(
      doctors,
      [...ids, 'e', 'd00'].map((id) => ({ id })),
      { level },
    )
    expect(many.map(({ row }) => row?.ward)).toEqual([...ids.map(() => 'x'), undefined, 'x'])
    expect(small.database.stats().pastWalks - pastWalks).toBeLessThan(5)
    await small.close()
  })

  it.each([
    ['once', 1 << 20, 3100],
    ['a little more often where that is too much', 32 << 10, 64 * 3000],
  ])('walk through the past for 64 reads at different positions %s', async (_often, snapshotBytesMax, walkedMax) => {
    const READERS = 64
    const crowd = await openTableServer({ limits: { snapshotBytesMax } })
    await crowd.db.migrate(doctors)
    const row = (i: number) => ({ id: `d${String(i % 40).padStart(2, '0')}`, ward: `w${i}`, onCall: BigInt(i) })
    const positions: number[] = []
    for (let i = 0; i < 40 + READERS; i++) {
      await crowd.db.upsert(doctors, row(i))
      if (i >= 40) positions.push(crowd.db.position)
    }
    for (let n = 0; n < 3; n++) {
      await Promise.all(Array.from({ length: 1000 }, (_, i) => crowd.db.upsert(doctors, { ...row(i), ward: 'z' })))
    }
    const walked = crowd.database.stats().pastTransactions
    const seen = await Promise.all(
      positions.map(async (snapshot) => {
        const rows: bigint[] = []
        for await (const { onCall } of crowd.db.rows(doctors, { limit: 15 }, { level: { snapshot } })) rows.push(onCall)
        return rows.toSorted((a, b) => Number(a - b))
      }),
    )
    // The newest forty at each of them.
    expect(seen).toEqual(positions.map((_, n) => Array.from({ length: 40 }, (_, i) => BigInt(n + 1 + i))))
    expect(crowd.database.stats().pastTransactions - walked).toBeLessThan(walkedMax)
    await crowd.close()
  })

  it('take no turn for every row because others have left much behind', async () => {
    const crowd = await openTableServer({ limits: { snapshotBytesMax: 16 << 10 } })
    await crowd.db.migrate(doctors)
    const keys = Array.from({ length: 40 }, (_, i) => ({ id: `d${String(i).padStart(2, '0')}` }))
    for (const key of keys) await crowd.db.insert(doctors, { ...key, ward: 'x', onCall: 0n })
    const other = defineTable({ ...doctors, name: 'others' })
    await crowd.db.migrate(other)
    const positions: number[] = []
    for (let i = 0; i < 8; i++) {
      positions.push((await crowd.db.upsert(other, { id: 'o', ward: 'x', onCall: 0n })).position)
    }
    await crowd.db.batch((batch) => {
      for (const key of keys) batch.delete(doctors, key)
    })
    for (const snapshot of positions) {
      const found = await crowd.db.getMany(doctors, keys, { level: { snapshot } })
      expect(found.every(({ row }) => row !== undefined)).toBe(true)
    }
    const walked = crowd.database.stats().pastTransactions
    const seen = await crowd.db.scan(doctors, {}, { level: { snapshot: positions[0] as number } })
    expect(seen.rows).toHaveLength(40)
    expect(crowd.database.stats().pastTransactions - walked).toBeLessThan(20)
    await crowd.close()
  })

  it('look at what is newer together, and let others have their turn, however much that is', async () => {
    const { position } = db
    await db.batch((batch) => {
      for (let i = 0; i < 990; i++) batch.insert(doctors, { id: `n${i}`, ward: 'x', onCall: 0n })
    })
    for (let n = 0; n < 5; n++) {
      await db.batch((batch) => {
        for (let i = 0; i < 990; i++) batch.insert(doctors, { id: `o${n}${i}`, ward: 'x', onCall: 0n })
      })
    }
    const get = vi.spyOn(server.applicator.state, 'committedRow')
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const level = { snapshot: position }
    const { page, rows } = await db.scan(doctors, { index: 'byWard', reverse: true, filter: { onCall: 1n } }, { level })
    isOver = true
    expect([rows.map(({ id }) => id), page]).toEqual([['c', 'b', 'a'], undefined])
    expect(get).not.toHaveBeenCalled()
    expect(turns).toBeGreaterThan(1)
  })

  it('walk over large transactions in pieces too', async () => {
    const papers = defineTable({ name: 'papers', columns: { id: string(), text: string() }, key: ['id'] })
    await db.migrate(papers)
    const level = { snapshot: db.position }
    for (let i = 0; i < 12; i++) await db.upsert(papers, { id: 'a', text: 'x'.repeat(900_000) })
    await db.delete(doctors, { id: 'a' })
    const read = db.get(doctors, { id: 'a' }, { level })
    expect(server.database.stats().pastTransactions).toBeLessThan(10)
    expect(await read).toMatchObject({ ward: 'x' })
    expect(server.database.stats().pastTransactions).toBe(13)
  })

  it.each([
    ['the change log', 100_000],
    ['one section, where that keeps too little', 1],
  ])('scan and count much in turns, and as if it were at once, by %s', async (_how, transactions) => {
    const slow = await openTableServer({ pieceRows: 4 })
    await slow.db.migrate(doctors)
    await slow.db.keepChanges({ transactions })
    const ids = Array.from({ length: 40 }, (_, i) => `d${String(i).padStart(2, '0')}`)
    for (const id of ids) await slow.db.insert(doctors, { id, ward: 'x', onCall: 0n })
    let isOver = false
    const writing = (async () => {
      // Seven rows are on call at every position, the first ones apart.
      for (let i = 0; !isOver; i++) {
        await slow.db.batch((batch) => {
          for (const [at, onCall] of [
            [i, 0n],
            [i + 7, 1n],
          ] as const) {
            batch.update(doctors, { id: ids[(at * 7) % 40] as string }, { set: { onCall } })
          }
        })
      }
    })()
    for (const index of [undefined, 'byWard'] as const) {
      for (let n = 0; n < 5; n++) {
        const { page, rows } = await slow.db.scan(doctors, { ...(index && { index }), filter: { ward: 'x' } })
        expect([rows.map(({ id }) => id), page]).toEqual([ids, undefined])
        expect(rows.filter(({ onCall }) => onCall === 1n).length).toBeLessThan(8)
        expect(await slow.db.count(doctors, { filter: { ward: 'x' } })).toBe(40)
      }
    }
    isOver = true
    await writing
    await slow.close()
  })

  it('count much at once where little is kept, however much less a page may hold', async () => {
    const slow = await openTableServer({ pieceRows: 4, limits: { answerBytesMax: 200 } })
    await slow.db.migrate(doctors)
    await slow.db.keepChanges({ transactions: 1 })
    for (let i = 0; i < 40; i++) await slow.db.insert(doctors, { id: `d${i}`, ward: 'x', onCall: 0n })
    let isOver = false
    const writing = (async () => {
      while (!isOver) await slow.db.update(doctors, { id: 'd7' }, { increment: { onCall: 1n } })
    })()
    for (let n = 0; n < 5; n++) expect(await slow.db.count(doctors, { filter: { ward: 'x' } })).toBe(40)
    isOver = true
    await writing
    await slow.close()
  })

  it('go back as far as keepChanges says: on every server, over restarts, and what is gone says why', async () => {
    const submit = vi.spyOn(server.stack, 'submit')
    await db.keepChanges({ transactions: 4 })
    await db.keepChanges({ bytes: 5000 })
    const [, entry] = submit.mock.calls.map(([{ payload }]) => Buffer.from(payload as Uint8Array).toString('hex'))
    expect(entry).toBe('0107048827')
    for (let i = 0; i < 10; i++) await db.update(doctors, { id: 'a' }, { increment: { onCall: 1n } })
    const stored = server.stack.read().get(RETENTION_RECORD) as Uint8Array
    expect(Buffer.from(stored).toString('hex')).toBe('048827')
    expect(await db.get(doctors, { id: 'a' }, { level: { snapshot: 9 } })).toMatchObject({ onCall: 7n })
    const gone = { code: 'SNAPSHOT_GONE', message: expect.stringContaining('begins at 9 (4 transactions of 4') }
    await expect(db.get(doctors, { id: 'a' }, { level: { snapshot: 8 } })).rejects.toMatchObject(gone)
    const other = await openTableServer({ shared: server.shared, serverId: 'b' })
    await other.stack.sync()
    expect(other.content()).toEqual(server.content())
    await other.close()
    for (const wrong of [{ transactions: 0 }, { bytes: -1 }, { bytes: 2 ** 50 }, { rows: 1 }, { transactions: '5' }]) {
      await expect(db.keepChanges(wrong as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  it('end with SNAPSHOT_GONE where the change log begins later', async () => {
    await db.update(doctors, { id: 'a' }, { set: { ward: 'y' } })
    server.applicator.state.counters.oldestChange = 4
    expect(await db.get(doctors, { id: 'a' }, { level: { snapshot: 3 } })).toMatchObject({ ward: 'x' })
    for (const read of [
      () => db.get(doctors, { id: 'a' }, { level: { snapshot: 2 } }),
      () => db.scan(doctors, {}, { level: { snapshot: 2 } }),
    ]) {
      await expect(read()).rejects.toMatchObject({
        code: 'SNAPSHOT_GONE',
        message: expect.stringContaining('what is kept begins at 3'),
      })
    }
  })
})

describe('the change feed', () => {
  it('ends with CLOSED where the database stopped while a change was dealt with', async () => {
    const feed = db.changes(doctors, { after: 2 })
    expect(await feed.next()).toMatchObject({ value: { key: { id: 'c' } } })
    server.database.stopServing()
    await expect(feed.next()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('lets others have their turn while it goes over changes of other tables', async () => {
    const quiet = defineTable({ name: 'quiet', columns: { id: string() }, key: ['id'] })
    await db.migrate(quiet)
    const rows = Array.from({ length: 800 }, (_, i) => ({ id: String(i), ward: 'x', onCall: 0n }))
    await Promise.all(rows.map((row) => db.insert(doctors, row)))
    const asked = vi.spyOn(server.database, 'changes')
    const feed = db.changes(quiet, { after: 0 })
    const first = feed.next()
    await new Promise((resolve) => setImmediate(resolve))
    expect(asked.mock.calls.length).toBeLessThan(3)
    await db.insert(quiet, { id: 'a' })
    expect(await first).toMatchObject({ value: { key: { id: 'a' } } })
    await feed.return()
  })

  it('tells what happened to rows, in order, with the row before and after, from any position on', async () => {
    await db.update(doctors, { id: 'a' }, { set: { ward: 'y' } })
    await db.batch((batch) => batch.delete(doctors, { id: 'b' }).insert(doctors, { id: 'd', ward: 'y', onCall: 0n }))
    const seen: unknown[] = []
    for await (const { after, before, key, position } of db.changes(doctors, { after: 3 })) {
      seen.push([position, key.id, before?.ward, after?.ward])
      if (seen.length === 3) break
    }
    expect(seen).toEqual([
      [4, 'a', 'x', 'y'],
      [5, 'b', 'x', undefined],
      [5, 'd', undefined, 'y'],
    ])
  })

  it('shows the changes of a range of keys, with bounds like those of a scan', async () => {
    const ids = async (bounds: Partial<ChangesOptions<typeof doctors>>): Promise<string[]> => {
      const seen: string[] = []
      const stop = new AbortController()
      for await (const { key } of db.changes(doctors, { after: 0, ...bounds, signal: stop.signal })) {
        seen.push(key.id)
        if (key.id === 'z') stop.abort()
      }
      return seen
    }
    await db.insert(doctors, { id: 'z', ward: 'x', onCall: 0n })
    expect(await ids({})).toEqual(['a', 'b', 'c', 'z'])
    expect(await ids({ from: { id: 'b' } })).toEqual(['b', 'c', 'z'])
    expect(await ids({ from: { id: 'bb' } })).toEqual(['c', 'z'])
    const feed = server.database.changes({ after: 0, table: 'doctors', from: { id: 'b' }, before: { id: 'c' } })
    expect(feed.changes.map(({ key }) => key)).toEqual([{ id: 'b' }])
    const upTo = server.database.changes({ after: 0, table: 'doctors', to: { id: 'b' } })
    expect(upTo.changes.map(({ key }) => key)).toEqual([{ id: 'a' }, { id: 'b' }])
    const bad = { after: 0, table: 'doctors', to: { id: 'b' }, before: { id: 'c' } }
    expect(() => server.database.changes(bad)).toThrow('to and before: one of them')
    expect(() => server.database.changes({ after: 0, from: { id: 'b' } })).toThrow('no table is named')
  })

  it('waits for what comes, shows only a part of the keys, and ends when it is told to', async () => {
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { key } of db.changes(doctors, { prefix: { id: 'k' }, signal: stop.signal })) seen.push(key.id)
    })()
    await db.insert(doctors, { id: 'j', ward: 'x', onCall: 0n })
    await db.insert(doctors, { id: 'k', ward: 'x', onCall: 0n })
    await db.delete(doctors, { id: 'k' })
    stop.abort()
    await reading
    expect(seen).toEqual(['k', 'k'])
  })
})

describe('the level lease', () => {
  it('reads by the lease of the stack, and hands on what the read itself throws', async () => {
    const { applicator, stack } = server
    let reads = 0
    const read = async <T>(use: (tx: ReturnType<typeof stack.read>) => T): Promise<T> => {
      reads++
      return use(stack.read())
    }
    const leasedReads = { holder: undefined, tryRead: () => undefined, read }
    const database = new TableDatabase({
      runtime: nodeRuntime(),
      applicator: Object.assign(Object.create(applicator) as typeof applicator, { listen: () => undefined }),
      log: stack,
      store: stack,
      leasedReads,
    })
    const key = { id: 'a' }
    expect(await database.get({ table: 'doctors', key, level: 'lease' })).toMatchObject({ row: { ward: 'x' } })
    await expect(database.get({ table: 'nope', key, level: 'lease' })).rejects.toMatchObject({ code: 'UNKNOWN_TABLE' })
    expect(reads).toBe(2)
  })
})
