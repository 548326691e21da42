import { describe, expect, it } from 'vitest'
import { StagedCache } from './staged-cache.ts'

interface Value {
  readonly name: string
}

const value = (name: string): Value => ({ name })
const cache = (entriesMax = 100, bytesMax = 1000) =>
  new StagedCache<string, Value>({ entriesMax, bytesMax }, (one) => one.name.length)

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
      () => 1,
      ({ name }) => name !== 'new',
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
})
