import { describe, expect, it } from 'vitest'
import type { Key } from '../../base/key.ts'
import type { ReadWriteTx } from '../../store/local-store.ts'
import { noCounters } from './table-counters.ts'
import { Tokens } from './tokens.ts'

const KEPT = 100

/** Rows in memory, as far as tokens need them. */
function rowsOf(rows: Map<Key, Uint8Array>): ReadWriteTx {
  const used: Pick<ReadWriteTx, 'get' | 'put' | 'delete' | 'scan'> = {
    get: (key) => rows.get(key),
    put: (key, value) => void rows.set(key, value),
    delete: (key) => void rows.delete(key),
    scan: () => [],
  }
  return used as ReadWriteTx
}

describe('tokens', () => {
  it('are all known that are kept, also where transactions were dropped and applied again', () => {
    const rows = new Map<Key, Uint8Array>()
    const tokens = new Tokens(KEPT)
    const counters = noCounters()
    for (let n = 0; n < 5 * KEPT; n++) {
      if (n % 3 === 0) tokens.remember(rowsOf(new Map(rows)), { ...counters }, `t${n}`)
      counters.position++
      tokens.remember(rowsOf(rows), counters, `t${n}`)
      for (let kept = Math.max(0, n - KEPT + 1); kept <= n; kept++) {
        expect(tokens.positionOf(rowsOf(rows), `t${kept}`)).toBe(kept + 1)
      }
    }
    expect(tokens.positionOf(rowsOf(rows), 't0')).toBeUndefined()
  })
})
