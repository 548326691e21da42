import { describe, expect, it } from 'vitest'
import type { LogPos } from '../../log/position.ts'
import { Simulation } from '../../sim/simulation.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import { DuplicateFilter, INCARNATIONS_KEPT, SERVERS_KEPT } from './duplicate-filter.ts'

function setUp() {
  const store = openMemoryStore({ runtime: new Simulation({ seed: 1 }) })
  let pos = 0
  const filter = new DuplicateFilter()
  const arrive = (serverId: string, incarnation: number, localId: number, into = filter) =>
    into.arrive({ serverId, incarnation, localId, wallMs: 0 }, pos++ as LogPos)
  const commit = (from = filter) => {
    const tx = store.begin()
    from.write(tx)
    tx.commit()
    from.committed()
  }
  const reloaded = () => {
    const loaded = new DuplicateFilter()
    loaded.load(store.read())
    return loaded
  }
  return { filter, arrive, commit, reloaded, store }
}

describe('the duplicate filter', () => {
  it('knows a proposal by server, incarnation and local id together', () => {
    const { arrive } = setUp()
    expect(arrive('a', 1, 1)).toBe('new')
    expect(arrive('b', 1, 1)).toBe('new')
    expect(arrive('a', 2, 1)).toBe('new')
    expect(arrive('a', 1, 1)).not.toBe('new')
    expect(arrive('a', 2, 1)).not.toBe('new')
  })

  it('knows within a transaction what the same transaction applied, and forgets it on abort', () => {
    const { filter, arrive, commit } = setUp()
    expect(arrive('a', 1, 1)).toBe('new')
    commit()
    expect(arrive('a', 1, 2)).toBe('new')
    expect(arrive('a', 1, 2)).not.toBe('new')
    filter.aborted()
    expect(arrive('a', 1, 2)).toBe('new')
    expect(arrive('a', 1, 1)).not.toBe('new')
  })

  it('comes back from the store as it was', () => {
    const { arrive, commit, reloaded } = setUp()
    for (const id of [1, 2, 4, 9]) arrive('a', 1, id)
    arrive('ä-server', 7, 3)
    commit()
    const again = reloaded()
    for (const id of [1, 2, 4, 9]) expect(arrive('a', 1, id, again)).not.toBe('new')
    expect(arrive('ä-server', 7, 3, again)).not.toBe('new')
    expect(arrive('a', 1, 3, again)).toBe('new')
  })

  it('drops entries of incarnations older than the newest few, unseen ones too', () => {
    const { arrive, commit, reloaded } = setUp()
    for (let incarnation = 1; incarnation <= INCARNATIONS_KEPT + 1; incarnation++) arrive('a', incarnation, 1)
    commit()
    for (const filter of [undefined, reloaded()]) {
      expect(arrive('a', 1, 2, filter)).toBe('too late')
      expect(arrive('a', 2, 2, filter)).toBe('new')
      filter?.aborted()
    }
  })

  it('forgets the server that was silent for longest when there are too many', () => {
    const { arrive, commit, reloaded, store } = setUp()
    for (let i = 0; i < SERVERS_KEPT; i++) arrive(`s${i}`, 1, 1)
    commit()
    arrive('s0', 1, 2)
    arrive('one-more', 1, 1)
    commit()
    const rows = [...store.read().scan({ from: '' })].length
    expect(rows).toBe(SERVERS_KEPT)
    const again = reloaded()
    expect(arrive('s0', 1, 1, again)).not.toBe('new')
    expect(arrive('s1', 1, 1, again)).toBe('new')
  })
})
