// The checker of histories, shown good ones and bad ones.

import { beforeEach, describe, expect, it } from 'vitest'
import { type ModelTransaction, type ModelWrite, seenIn, TableModel } from './table-model.ts'

let model: TableModel

const put = (id: bigint, value = 0n, tag: string | null = null): ModelWrite => {
  return { op: 'upsert', row: { group: 'g', id, value, tag } }
}

function begin(token: string, parts: Partial<ModelTransaction>): void {
  model.begin({ token, reads: [], ranges: [], writes: [], floor: model.floor, schema: 0, ...parts })
}

beforeEach(() => {
  model = new TableModel()
  begin('a', { writes: [put(1n)] })
  model.applied('1.0', 'a', 'committed', 1)
})

describe('the checker of strict serializability', () => {
  it('accepts what the order of the log gives, also when it is played again', () => {
    begin('b', { reads: [{ key: 'g/1', version: 1 }], writes: [put(1n, 5n)] })
    model.applied('2.0', 'b', 'committed', 2)
    model.applied('1.0', 'a', 'committed', 1)
    model.applied('3.0', 'b', 'repeated', 2)
    model.acknowledged(2)
    expect(model.position).toBe(2)
  })

  it('finds a lost update: two transactions that have read the same version', () => {
    for (const token of ['b', 'c']) begin(token, { reads: [{ key: 'g/1', version: 1 }], writes: [put(1n, 5n)] })
    model.applied('2.0', 'b', 'committed', 2)
    expect(() => model.applied('3.0', 'c', 'committed', 3)).toThrow('instead of conflict')
  })

  it('finds a phantom, in a range of the key and in one of an index', () => {
    for (const by of [{ group: 'g' }, { value: 0n }]) {
      const range = { by, keysOnly: false }
      const seen = seenIn(model.states[model.position] ?? new Map(), range)
      begin('skew', { ranges: [{ ...range, seen }], writes: [put(7n)] })
      begin('other', { writes: [put(BigInt(model.position) + 10n)] })
      model.applied(`${model.position}.o`, 'other', 'committed', model.position + 1)
      expect(() => model.applied('9.0', 'skew', 'committed', model.position + 1)).toThrow('instead of conflict')
      model = new TableModel()
    }
  })

  it('finds a read from the future or the past, and a conflict that is none', () => {
    begin('b', { reads: [{ key: 'g/1', version: 0 }], writes: [put(2n)] })
    expect(() => model.applied('2.0', 'b', 'committed', 2)).toThrow('instead of conflict')
    begin('c', { reads: [{ key: 'g/1', version: 1 }], writes: [put(2n)] })
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
