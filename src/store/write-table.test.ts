import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WriteTable } from './write-table.ts'

const value = Buffer.from('v')

function ascending(table: WriteTable, from = ''): string[] {
  const keys: string[] = []
  const position = table.seek(from)
  for (let key = table.keyAt(position); key !== undefined; key = table.keyAt(position)) {
    keys.push(key)
    position.at++
  }
  return keys
}

function descending(table: WriteTable): string[] {
  const keys: string[] = []
  const position = table.seekEnd()
  for (let key = table.keyBefore(position); key !== undefined; key = table.keyBefore(position)) {
    keys.push(key)
    position.at--
  }
  return keys
}

describe('a write table', () => {
  it('keeps its keys in order however they come, go and are looked at', () => {
    const steps = fc.array(fc.tuple(fc.nat(2), fc.nat(30_000), fc.nat(900)), { minLength: 5, maxLength: 40 })
    const property = fc.property(steps, (chosen) => {
      const table = new WriteTable()
      const model = new Set<string>()
      for (const [kind, start, count] of chosen) {
        for (let i = 0; i < count; i++) {
          const key = kind === 0 ? `${start + i}` : `${(start * 31 + i * 7919) % 30_000}`
          if (kind === 2) {
            model.delete(key)
            table.remove(key)
          } else {
            model.add(key)
            table.set(key, value)
          }
        }
        const sorted = [...model].sort()
        const from = String(start)
        expect(ascending(table, from)).toEqual(sorted.filter((key) => key >= from))
        expect(descending(table)).toEqual(sorted.reverse())
      }
    })
    fc.assert(property, { numRuns: 30 })
  })

  it('counts what it grows by', () => {
    const table = new WriteTable()
    expect(table.replace('a', Buffer.alloc(10), 100)).toBe(1 + 10 + 100)
    expect(table.replace('bb', null, 100)).toBe(2 + 100)
    expect(table.replace('a', null, 100)).toBe(-10)
    expect(table.replace('bb', Buffer.alloc(3), 100)).toBe(3)
    expect(ascending(table)).toEqual(['a', 'bb'])
  })
})
