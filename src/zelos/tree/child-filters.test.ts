import { describe, expect, it } from 'vitest'
import { ChildFilters } from './child-filters.ts'

describe('child filters', () => {
  it('never call a child absent, and hardly ever fail to see that one is', () => {
    const filters = new ChildFilters()
    filters.start('/p')
    for (let i = 0; i < 20_000; i++) filters.add('/p', `/p/n-${i}`)
    for (let i = 0; i < 20_000; i++) expect(filters.isAbsent('/p', `/p/n-${i}`)).toBe(false)
    let seen = 0
    for (let i = 20_000; i < 40_000; i++) if (filters.isAbsent('/p', `/p/n-${i}`)) seen++
    expect(seen).toBeGreaterThan(19_900)
  })

  it('say nothing of a parent that they did not see empty', () => {
    const filters = new ChildFilters()
    filters.add('/p', '/p/a')
    expect(filters.isAbsent('/p', '/p/b')).toBe(false)
    filters.start('/p')
    expect(filters.isAbsent('/p', '/p/a')).toBe(true)
    filters.add('/p', '/p/a')
    filters.start('/p')
    expect(filters.isAbsent('/p', '/p/a')).toBe(true)
  })

  it('tell children of the root apart', () => {
    const filters = new ChildFilters()
    filters.start('/')
    filters.add('/', '/a')
    expect([filters.isAbsent('/', '/a'), filters.isAbsent('/', '/b')]).toEqual([false, true])
  })

  it('drop the oldest parent past their bounds', () => {
    const filters = new ChildFilters({ parentsMax: 2, namesMax: 3 })
    for (const parent of ['/a', '/b', '/c']) filters.start(parent)
    expect(['/a', '/b', '/c'].map((parent) => filters.isAbsent(parent, `${parent}/x`))).toEqual([false, true, true])
    for (let i = 0; i < 4; i++) filters.add('/c', `/c/${i}`)
    expect(['/b', '/c'].map((parent) => filters.isAbsent(parent, `${parent}/x`))).toEqual([false, true])
  })
})
