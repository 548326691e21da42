// What earlier builds wrote of tables stays readable: data directories kept in testdata/, one closed in order and one of a server
// that had no time to, are opened by this build, replayed, and hold what they held then: rows of old schemas, indexes, the past.
//
// UPDATE_DATA_DIRS=1 writes those of this version anew (only before its release).

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openServer, type Server } from 'delos'
import { bool, bytes, defineTable, desc, double, enumOf, int64, json, list, string, timestamp } from 'delos/table'
import { expect, it } from 'vitest'
import { toTaggedJson } from '../src/table/codec/tagged-json.ts'
import { tempDir } from './support/temp-dir.ts'

const KEPT = fileURLToPath(new URL('../testdata/table-data-dirs', import.meta.url))
const VERSION = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version as string

const first = defineTable({
  name: 'things',
  columns: {
    group: string(),
    id: int64(),
    name: string().nullable(),
    kind: enumOf('a', 'b'),
    load: double().default(0.5),
    on: bool().default(true),
    raw: bytes().default(new Uint8Array([1, 0, 255])),
    at: timestamp().nullable(),
    more: json().nullable(),
    tags: list(string()).default([]),
  },
  key: ['group', desc('id')],
  indexes: {
    byName: { columns: ['name'], unique: true },
    byKind: { columns: ['kind', desc('load')], include: ['on'] },
    busy: { columns: ['load'], where: { on: true } },
  },
})

const { name: _, ...columns } = first.columns
const second = defineTable({
  ...first,
  columns: {
    ...columns,
    title: string().nullable(),
    kind: enumOf('a', 'b', 'c'),
    size: int64().default(7n),
  },
  indexes: { ...first.indexes, byName: { columns: ['title'], unique: true }, bySize: { columns: ['size'] } },
})

const mortal = defineTable({ name: 'mortal', columns: { id: int64() }, key: ['id'], ttl: { afterMs: 1e12 } })

const open = (dataDir: string): Promise<Server> => openServer({ dataDir, table: {}, databases: ['table'] })

/** A little of everything that is stored. */
async function fill({ tables: db }: Server): Promise<void> {
  await db.migrate(first)
  for (let i = 0n; i < 20n; i++) {
    await db.insert(first, {
      group: `g${i % 3n}`,
      id: i,
      name: i % 4n === 0n ? null : `n${i}`,
      kind: 'a',
      tags: [`t${i}`],
    })
  }
  await db.update(
    first,
    { group: 'g1', id: 1n },
    { set: { at: new Date(1e12), more: { a: [1, null] } } },
    { token: 'once' },
  )
  await db.transaction(async (tx) => {
    await tx.scan(first, { index: 'byKind', limit: 3 })
    tx.delete(first, { group: 'g2', id: 2n })
    tx.update(first, { group: 'g0', id: 0n }, { increment: { load: 2 }, append: { tags: ['more'] } })
  })
  await db.migrate(second, { rename: { name: 'title' } })
  await db.schema.ready(second)
  await db.insert(second, { group: 'größe', id: -1n, title: 'new', kind: 'c', size: 1n })
  await db.migrate(mortal)
  await db.insert(mortal, { id: 1n })
}

/** Everything that a client can see. */
async function contents({ tables: db }: Server): Promise<unknown> {
  const changes: unknown[] = []
  const last = db.position
  for await (const change of db.changes(second, { after: 0 })) {
    changes.push(change)
    if (change.position >= last - 1) break
  }
  const scans: unknown[] = []
  for (const scan of [
    {},
    { reverse: true },
    { index: 'byName' },
    { index: 'byKind' },
    { index: 'busy' },
    { index: 'bySize' },
  ] as const) {
    scans.push((await db.scan(second, scan)).rows)
  }
  const again = await db.update(second, { group: 'g1', id: 1n }, { set: { on: false } }, { token: 'once' })
  return {
    position: last,
    scans,
    changes,
    past: (await db.scan(second, {}, { level: { snapshot: 12 } })).rows,
    versions: await db.getMany(second, [
      { group: 'g0', id: 0n },
      { group: 'g1', id: 1n },
    ]),
    repeated: again.ok && again.repeated,
    described: await Promise.all((await db.schema.names()).map((name) => db.schema.describe(name))),
    mortal: await db.count(mortal),
  }
}

function keep(how: string, dataDir: string, expected: unknown): void {
  const kept = join(KEPT, `${VERSION}-${how}`)
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept, { recursive: true })
  cpSync(dataDir, join(kept, 'data'), { recursive: true })
  rmSync(join(kept, 'data', 'LOCK'), { force: true })
  writeFileSync(join(kept, 'contents.json'), `${JSON.stringify(JSON.parse(toTaggedJson(expected)), null, 1)}\n`)
}

if (process.env.UPDATE_DATA_DIRS === '1') {
  it('writes the data directories of this version', async () => {
    const dataDir = join(tempDir('table-data-dirs'), 'data')
    const server = await open(dataDir)
    await fill(server)
    const expected = await contents(server)
    keep('killed', dataDir, expected)
    await server.close()
    keep('closed', dataDir, expected)
  })
}

for (const name of existsSync(KEPT) ? readdirSync(KEPT).sort() : []) {
  it(`opens and replays the data directory ${name}`, async () => {
    const dataDir = join(tempDir('table-data-dirs'), 'data')
    cpSync(join(KEPT, name, 'data'), dataDir, { recursive: true })
    const server = await open(dataDir)
    const found = JSON.parse(toTaggedJson(await contents(server)))
    await server.close()
    expect(found).toEqual(JSON.parse(readFileSync(join(KEPT, name, 'contents.json'), 'utf8')))
  })
}
