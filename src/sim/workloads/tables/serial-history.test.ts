// The checker of histories, shown good ones and bad ones.

import { beforeEach, describe, expect, it } from 'vitest'
import type { RowRead, ScanRequest, WriteOperation } from '../../../table/messages.ts'
import { evidenceIn } from './model-rows.ts'
import type { ModelTable } from './model-schema.ts'
import { markOf, TablesModel } from './tables-model.ts'

let model: TablesModel

const INT64 = { kind: 'int64', nullable: false } as const
const SHAPE = {
  name: 't',
  columns: ['id', 'group', 'value'].map((name) => ({ name, spec: INT64 })),
  key: [{ column: 'id', descending: false }],
  indexes: [{ name: 'byValue', parts: [{ column: 'value', descending: false }], unique: false, include: [] }],
}

const put = (id: bigint, value = 0n): WriteOperation => ({ op: 'upsert', table: 't', row: { id, group: 0n, value } })
const read = (version: number): RowRead => ({ table: 't', key: { id: 1n }, version })

interface Parts {
  readonly reads?: readonly RowRead[]
  readonly scans?: readonly Omit<ScanRequest, 'table'>[]
  readonly writes?: readonly WriteOperation[]
  readonly floor?: number
}

function begin(token: string, { floor = model.floor, reads = [], scans = [], writes = [] }: Parts): void {
  const table = model.state.tables.get('t') as ModelTable
  const seen = scans.map((bounds) => {
    const scan = { ...bounds, table: 't' }
    return { scan, mark: markOf(table), evidence: evidenceIn(table, scan) }
  })
  const marks = new Map(reads.length + scans.length > 0 ? [['t', markOf(table)]] : [])
  model.begin({ token, floor, request: { operations: writes, reads }, seen, marks })
}

function migrate(version: number, changes: readonly unknown[]): void {
  model.schemaChanged(`m${version}`, { table: 't', version, changes: changes as never }, 'changed', 1)
}

beforeEach(() => {
  model = new TablesModel({ monotonicMs: () => 0, wallMs: () => 0 }, 3)
  migrate(0, [{ kind: 'createTable', shape: SHAPE }])
  begin('a', { writes: [put(1n)] })
  model.applied('1.0', 'a', 'committed', 1)
})

describe('the checker of strict serializability', () => {
  it('accepts what the order of the log gives, also when it is played again', () => {
    begin('b', { reads: [read(1)], writes: [put(1n, 5n)] })
    model.applied('2.0', 'b', 'committed', 2)
    model.applied('1.0', 'a', 'committed', 1)
    model.applied('3.0', 'b', 'repeated', 2)
    model.acknowledged(2)
    expect(model.position).toBe(2)
  })

  it('finds a lost update: two transactions that have read the same version', () => {
    for (const token of ['b', 'c']) begin(token, { reads: [read(1)], writes: [put(1n, 5n)] })
    model.applied('2.0', 'b', 'committed', 2)
    expect(() => model.applied('3.0', 'c', 'committed', 3)).toThrow('instead of conflict')
  })

  it.each([
    ['the key', {}],
    ['an index', { index: 'byValue', prefix: { value: 0n } }],
  ])('finds a phantom in a range of %s', (_where, scan) => {
    begin('skew', { scans: [scan], writes: [put(7n)] })
    begin('other', { writes: [put(10n)] })
    model.applied('2.0', 'other', 'committed', 2)
    expect(() => model.applied('3.0', 'skew', 'committed', 3)).toThrow('instead of conflict')
  })

  it('finds what was read under another schema', () => {
    begin('b', { scans: [{}], writes: [put(2n)] })
    migrate(1, [{ kind: 'dropIndex', name: 'byValue' }])
    expect(() => model.applied('2.0', 'b', 'committed', 2)).toThrow('instead of conflict')
  })

  it('finds a read from the future or the past, and a conflict that is none', () => {
    begin('b', { reads: [read(0)], writes: [put(2n)] })
    expect(() => model.applied('2.0', 'b', 'committed', 2)).toThrow('instead of conflict')
    begin('c', { reads: [read(1)], writes: [put(2n)] })
    expect(() => model.applied('3.0', 'c', 'conflict', 1)).toThrow('instead of committed')
  })

  it('finds a transaction before one that had been acknowledged when it began', () => {
    model.acknowledged(1)
    begin('b', { floor: 5, writes: [put(2n)] })
    expect(() => model.applied('2.0', 'b', 'committed', 2)).toThrow('before what was there already')
  })

  it('finds a token that is applied twice, and a transaction that was never proposed', () => {
    expect(() => model.applied('2.0', 'a', 'committed', 2)).toThrow('instead of repeated')
    expect(() => model.applied('3.0', 'nobody', 'committed', 2)).toThrow('never proposed')
  })

  it('finds a log that is another when it is played again, and a position that was never reached', () => {
    expect(() => model.applied('1.0', 'a', 'rejected', 1)).toThrow('and now')
    expect(() => model.acknowledged(2)).toThrow('was given out')
  })
})
