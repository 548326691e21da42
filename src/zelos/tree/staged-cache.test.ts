import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StagedCache, ValueSlot } from './staged-cache.ts'

interface Value {
  readonly name: string
}

const value = (name: string): Value => ({ name })
const cache = (entriesMax = 100, bytesMax = 1000) =>
  new StagedCache<string, Value>(
    { entriesMax, bytesMax },
    { newSlot: (key) => new ValueSlot(key), sizeOf: (one) => one.name.length },
  )

describe('a staged cache', () => {
  it('shows a change to the open transaction at once and to everybody after the commit', () => {
    const one = cache()
    one.admit('k', value('old'))
    one.stage('k', value('new'))
    expect(one.get('k')?.name).toBe('new')
    expect(one.committed('k')?.name).toBe('old')
    one.commit()
    expect(one.committed('k')?.name).toBe('new')
  })

  it('knows what was deleted in the open transaction, and nothing of it afterwards', () => {
    const one = cache()
    one.admit('k', value('old'))
    one.stage('k', null)
    expect(one.get('k')).toBeNull()
    one.commit()
    expect(one.get('k')).toBeUndefined()
  })

  it('knows nothing of what a dropped transaction had touched', () => {
    const one = cache()
    one.admit('k', value('old'))
    one.stage('k', value('new'))
    one.stage('other', null)
    one.discard()
    expect(one.get('k')).toBeUndefined()
    expect(one.get('other')).toBeUndefined()
  })

  it('takes back exactly what an attempt changed, also a nested one', () => {
    const one = cache()
    one.stage('a', value('1'))
    const outer = one.beginAttempt()
    one.stage('a', value('2'))
    const inner = one.beginAttempt()
    one.stage('a', null)
    one.stage('b', value('3'))
    one.endAttempt(inner, true)
    one.endAttempt(outer, false)
    expect(one.get('a')?.name).toBe('1')
    expect(one.get('b')).toBeUndefined()
  })

  it('does not take in at a commit what need not be kept, and forgets what was there', () => {
    const one = new StagedCache<string, Value>(
      { entriesMax: 100, bytesMax: 1000 },
      { newSlot: (key) => new ValueSlot(key), sizeOf: () => 1, keeps: ({ name }) => name !== 'new' },
    )
    one.admit('k', value('old'))
    one.stage('k', null)
    one.stage('k', value('new'))
    expect(one.get('k')?.name).toBe('new')
    one.commit()
    expect(one.get('k')).toBeUndefined()
    one.admit('k', value('new'))
    expect(one.get('k')?.name).toBe('new')
  })

  it('keeps what is used and drops what is not, within its bounds', () => {
    const one = cache(100)
    one.admit('hot', value('hot'))
    for (let i = 0; i < 10_000; i++) {
      one.admit(`cold-${i}`, value('cold'))
      expect(one.get('hot')?.name).toBe('hot')
    }
    expect(one.entries).toBeLessThanOrEqual(101)
    expect(one.get('cold-1')).toBeUndefined()
  })

  it('is bounded by bytes as well, counting an overwritten value once', () => {
    const one = cache(1_000_000, 100)
    for (let i = 0; i < 1000; i++) one.admit('k', value('ten bytes!'))
    expect(one.bytes).toBe(10)
    for (let i = 0; i < 1000; i++) one.admit(`k-${i}`, value('ten bytes!'))
    expect(one.bytes).toBeLessThanOrEqual(120)
    one.clear()
    expect([one.entries, one.bytes]).toEqual([0, 0])
  })

  it('does what a map per state does, however small it is', () => {
    const step = fc.tuple(fc.nat(9), fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'))
    const property = fc.property(fc.nat(8), fc.array(step, { maxLength: 120 }), (entriesMax, steps) => {
      const one = cache(entriesMax)
      // What the store would answer; the cache may know less of it.
      let committed = new Map<string, Value>()
      let draft = new Map<string, Value>()
      let serial = 0
      const marks: [mark: number, draft: Map<string, Value>][] = []
      const endAttempt = (keep: boolean): void => {
        const [mark, before] = marks.pop() as [number, Map<string, Value>]
        one.endAttempt(mark, keep)
        if (!keep) draft = before
      }
      for (const [kind, key] of steps) {
        const known = committed.get(key)
        if (kind < 3) {
          const next = value(`${serial++}`)
          one.stage(key, next)
          draft.set(key, next)
        } else if (kind === 3) {
          one.stage(key, null)
          draft.delete(key)
        } else if (kind === 4 && one.committed(key) === undefined && known !== undefined) one.admit(key, known)
        else if (kind === 5) marks.push([one.beginAttempt(), new Map(draft)])
        else if (kind === 6 && marks.length > 0) endAttempt(serial % 2 === 0)
        else if (kind === 7) {
          while (marks.length > 0) endAttempt(true)
          one.commit()
          committed = new Map(draft)
        } else if (kind === 8 && serial % 5 === 0) {
          marks.length = 0
          one.discard()
          draft = new Map(committed)
        }
        for (const each of ['a', 'b', 'c', 'd', 'e', 'f']) {
          const staged = one.get(each)
          if (staged === undefined) expect(draft.get(each)).toBe(committed.get(each))
          else expect(staged).toBe(draft.get(each) ?? null)
          expect(one.committed(each) ?? committed.get(each)).toBe(committed.get(each))
        }
      }
      one.clear()
      expect([one.entries, one.bytes]).toEqual([0, 0])
    })
    fc.assert(property, { numRuns: 300 })
  })
})
