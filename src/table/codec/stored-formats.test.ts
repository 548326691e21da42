// Bytes that are stored: keys whose order is that of the values, rows of earlier schemas, and golden files.

import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { keyToBytes } from '../../base/key.ts'
import { bool, bytes, double, enumOf, int64, json, list, string, timestamp } from '../schema/columns.ts'
import { defineTable, desc } from '../schema/define-table.ts'
import { createdTable } from '../schema/evolution.ts'
import { shapeOf } from '../schema/table-shape.ts'
import { DEFAULT_TABLE_LIMITS } from '../table-limits.ts'
import { CompiledTable } from './compiled-table.ts'
import { keyPartCodec } from './key-codec.ts'
import type { RowData } from './row-codec.ts'
import { storedBytes, storedRow } from './stored-row.ts'
import { fromTaggedJson, toTaggedJson } from './tagged-json.ts'
import { TransactionEncoder } from './transaction-codec.ts'

const definition = defineTable({
  name: 'all',
  columns: {
    text: string(),
    number: int64(),
    real: double(),
    flag: bool(),
    blob: bytes(),
    at: timestamp(),
    kind: enumOf('a', 'b'),
    any: json().nullable(),
    items: list(int64()),
    none: string().nullable(),
  },
  key: ['text', desc('number')],
  indexes: {
    plain: { columns: ['none', desc('real')], include: ['flag', 'blob'] },
    unique: { columns: ['at', 'kind'], unique: true, include: ['flag'] },
  },
})
const table = new CompiledTable(createdTable(7, shapeOf(definition)))
const row: RowData = {
  text: 'a\u0000ü',
  number: -2n,
  real: -1.5,
  flag: true,
  blob: new Uint8Array([0, 255]),
  at: new Date(1_700_000_000_123),
  kind: 'b',
  any: { x: [1, null] },
  items: [1n, -1n],
  none: null,
}
const encoder = new TransactionEncoder({
  defaults: { uuid: () => 'u', now: () => new Date(0) },
  limits: DEFAULT_TABLE_LIMITS,
  table: () => table,
  wallMs: () => 1_700_000_000_000,
})
const writer = new ByteWriter(256)
table.rows.write(writer, row)
const written = writer.take()
const key = { text: 'a\u0000ü', number: -2n }

describe('keys of columns', () => {
  const sorted: [Parameters<typeof keyPartCodec>[0], readonly unknown[]][] = [
    [string().nullable().spec, [null, '', '\u0000', '\u0000a', 'a', 'a\u0000', 'ab', 'b', 'ü', '\uffff', '😀']],
    [int64().nullable().spec, [null, -(2n ** 63n), -256n, -1n, 0n, 1n, 255n, 256n, 2n ** 63n - 1n]],
    [
      double().nullable().spec,
      [null, Number.NEGATIVE_INFINITY, -1.5, -1e-300, 0, 1e-300, 1.5, Number.POSITIVE_INFINITY],
    ],
    [bool().nullable().spec, [null, false, true]],
    [
      bytes().nullable().spec,
      [null, new Uint8Array(), new Uint8Array([0]), new Uint8Array([0, 1]), new Uint8Array([1])],
    ],
    [timestamp().nullable().spec, [null, new Date(-5), new Date(0), new Date(5)]],
    [enumOf('z', 'a').nullable().spec, [null, 'z', 'a']],
  ]

  it.each(sorted)('have the order of the values, in both directions, and give them back: %o', (spec, values) => {
    for (const descending of [false, true]) {
      const codec = keyPartCodec(spec, descending)
      // Whatever follows in a key changes nothing.
      const keys = values.map((value, i) => `${codec.encode(value as never)}${i % 2 === 0 ? '\xff' : '\x00'}`)
      expect(keys.toSorted()).toEqual(descending ? keys.toReversed() : keys)
      for (const [i, encoded] of keys.entries()) {
        const cursor = { key: encoded, at: 0 }
        expect(codec.decode(cursor)).toEqual(values[i])
        expect(cursor.at).toBe(encoded.length - 1)
        const skipped = { key: encoded, at: 0 }
        codec.skip(skipped)
        expect(skipped.at).toBe(cursor.at)
      }
    }
  })
})

describe('stored formats', () => {
  it('are those of testdata/table/formats.hex: a row, entries, a transaction', () => {
    const upsert = encoder.encode({ operations: [{ op: 'upsert', table: 'all', row, if: { version: 3 } }], token: 't' })
    const seen = { rows: 2, rowsToo: true, reverse: false, digest: 12_345 }
    const range = { table: 'all', index: 'plain', from: 'a', to: undefined, ...seen }
    const others = encoder.encode({
      reads: [{ table: 'all', key, version: 9 }],
      ranges: [range],
      operations: [
        {
          op: 'update',
          table: 'all',
          key,
          patch: { set: { none: 'x' }, increment: { real: 1 }, merge: { any: { y: 1 } } },
        },
        { op: 'delete', table: 'all', key, if: { exists: true, where: { flag: true } } },
      ],
    })
    const entries = table.indexes.flatMap((index) => {
      const entry = index.entryOf(row, table.primaryKeyOf(row))
      return entry === undefined ? [] : [keyToBytes(entry.key), entry.value]
    })
    const all = [storedBytes(5, 0, written), storedBytes(5, 8, written), ...entries, upsert, others]
    expect(all.map((one) => Buffer.from(one).toString('hex')).join('')).toBe(readGolden('table/formats.hex'))
  })

  it('give back what went in: rows, and columns out of index entries', () => {
    const stored = storedRow(storedBytes(2 ** 40 + 5, 9, written))
    expect([stored.version, stored.expiryTick]).toEqual([2 ** 40 + 5, 9])
    expect(stored.row(table)).toEqual(row)
    const primaryKey = table.primaryKeyOf(row)
    expect(table.keyData(primaryKey)).toEqual(key)
    for (const index of table.indexes) {
      const entry = index.entryOf(row, primaryKey)
      if (entry === undefined) throw new Error('not in the index')
      expect(index.primaryKeyOf(entry.key, entry.value)).toBe(primaryKey)
      const names = [...new Set(index.columns.map(({ name }) => name))]
      const read = index.reader(new Set(names))(entry.key, entry.value)
      expect(read).toEqual(Object.fromEntries(names.map((name) => [name, row[name]])))
    }
  })

  it('keep values that JSON lacks', () => {
    const value = { a: [1n, new Date(5), new Uint8Array([1])], $b: { $int: 'x' }, c: Number.POSITIVE_INFINITY }
    expect(fromTaggedJson(toTaggedJson(value))).toEqual(value)
  })
})
