import { describe, expect, it } from 'vitest'
import { clusterOf, MapTx, type ViewCluster, type ViewServer } from '../../../test/support/view-cluster.ts'
import { DIGEST_HEADER } from '../../engine/digest.ts'
import { decodeEntry } from '../../engine/entry-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { ALARMS_MAX, alarmText, DigestRounds, differences, ROUNDS_MAX } from './digest-rounds.ts'

const PREFIX = 'view-tracking\x00'
const MEMBERS = ['a', 'b', 'c']
const SAME = { zelos: '11' }

function digest(position: number, ranges: Record<string, string>) {
  return { position: position as LogPos, ranges: new Map(Object.entries(ranges)) }
}

function reportsOf(reports: Record<string, Record<string, string>>) {
  return new Map(Object.entries(reports).map(([id, ranges]) => [id, new Map(Object.entries(ranges))]))
}

describe('differences', () => {
  const at = 7 as LogPos

  it('are none where all agree', () => {
    expect(differences(at, reportsOf({ a: SAME, b: SAME, c: SAME }))).toEqual([])
  })

  it('name the minority, per range', () => {
    const found = differences(at, reportsOf({ b: { x: '1', y: '9' }, a: { x: '1', y: '2' }, c: { x: '3', y: '2' } }))
    expect(found).toEqual([
      { position: 7, range: 'x', servers: ['c'], majority: true },
      { position: 7, range: 'y', servers: ['b'], majority: true },
    ])
    expect(alarmText(found[0] as (typeof found)[0])).toBe(
      'content differs in range x at position 7: server c (against the majority)',
    )
  })

  it('name all where there is no majority', () => {
    expect(differences(at, reportsOf({ b: { x: '1' }, a: { x: '2' } }))).toEqual([
      { position: 7, range: 'x', servers: ['a', 'b'], majority: false },
    ])
  })

  it('include a range that one side does not have', () => {
    expect(differences(at, reportsOf({ a: SAME, b: {}, c: SAME }))).toEqual([
      { position: 7, range: 'zelos', servers: ['b'], majority: true },
    ])
  })
})

describe('the rounds of comparison', () => {
  function fixture() {
    const tx = new MapTx()
    const rounds = new DigestRounds(PREFIX)
    const report = (server: string, position: number, ranges: Record<string, string>) =>
      rounds.report(tx, server, digest(position, ranges), MEMBERS, (position + 5) as LogPos)
    return { tx, rounds, report }
  }

  it('end when every member has reported, and leave nothing behind if all agree', () => {
    const { tx, rounds, report } = fixture()
    for (const server of MEMBERS) report(server, 10, SAME)
    expect(rounds.alarms).toEqual([])
    expect(tx.dump()).toEqual([])
  })

  it('wait for all as long as there is no newer one, then for more than half', () => {
    const { rounds, report } = fixture()
    report('a', 10, SAME)
    report('b', 10, { zelos: '22' })
    expect(rounds.alarms).toEqual([])
    report('b', 20, SAME)
    expect(rounds.alarms).toMatchObject([{ position: 10, servers: ['a', 'b'], majority: false }])
    // Who reports late decides who is the minority.
    report('c', 10, SAME)
    expect(rounds.alarms).toEqual([{ position: 10, range: 'zelos', servers: ['b'], majority: true }])
  })

  it('tell of a server that parted once, with the first position', () => {
    const { rounds, report } = fixture()
    for (let position = 10; position < 60; position += 10) {
      report('a', position, SAME)
      report('b', position, SAME)
      report('c', position, { zelos: '22' })
    }
    expect(rounds.alarms).toEqual([{ position: 10, range: 'zelos', servers: ['c'], majority: true }])
  })

  it('are bounded: the newest positions, the newest alarms', () => {
    const { tx, rounds, report } = fixture()
    for (let position = 100; position > 0; position--) report('a', position * 10, SAME)
    for (let position = 1; position <= 100; position++) report('a', position * 10, SAME)
    expect(tx.dump()).toHaveLength(ROUNDS_MAX)
    for (let i = 0; i < 2 * ALARMS_MAX; i++) {
      for (const server of MEMBERS) report(server, 2000 + i, { [`r${i}`]: server })
    }
    expect(rounds.alarms.map(({ range }) => range)).toEqual(
      Array.from({ length: ALARMS_MAX }, (_, i) => `r${ALARMS_MAX + i}`),
    )
  })

  it('ignore a digest of a position that has not been reached', () => {
    const { tx, rounds } = fixture()
    rounds.report(tx, 'a', digest(10, SAME), MEMBERS, 10 as LogPos)
    expect(tx.dump()).toEqual([])
  })

  it('forget a server: its reports, and the alarms that name it, which may be raised again', () => {
    const { tx, rounds, report } = fixture()
    const all = (position: number, of: Record<string, string>) => {
      for (const server of MEMBERS) report(server, position, server === 'c' ? of : SAME)
    }
    all(10, { zelos: '22' })
    report('c', 20, { zelos: '22' })
    report('b', 30, SAME)
    report('c', 30, { zelos: '22' })
    rounds.forget(tx, 'a')
    expect(rounds.alarms).toMatchObject([{ position: 10, servers: ['c'] }])
    rounds.forget(tx, 'c')
    expect(rounds.alarms).toEqual([])
    expect(tx.dump()).toHaveLength(1)
    const loaded = new DigestRounds(PREFIX)
    loaded.load(tx)
    expect(loaded).toEqual(rounds)
    all(40, SAME)
    expect(rounds.alarms).toEqual([])
    all(50, { zelos: '22' })
    expect(rounds.alarms).toEqual([{ position: 50, range: 'zelos', servers: ['c'], majority: true }])
  })

  it('are the same after a restart', () => {
    const { tx, rounds, report } = fixture()
    for (let i = 0; i < 3; i++) for (const server of MEMBERS) report(server, 50 + i, { [`r${i}`]: server })
    report('a', 70, SAME)
    report('b', 60, { zelos: '22' })
    const loaded = new DigestRounds(PREFIX)
    loaded.load(tx)
    expect(loaded.alarms).toEqual(rounds.alarms)
    const copy = new MapTx()
    for (const [key, value] of tx.rows) copy.put(key, value)
    rounds.report(tx, 'c', digest(60, SAME), MEMBERS, 99 as LogPos)
    loaded.report(copy, 'c', digest(60, SAME), MEMBERS, 99 as LogPos)
    expect(copy.dump()).toEqual(tx.dump())
    expect(loaded.alarms.at(-1)).toMatchObject({ position: 60, servers: ['b', 'c'] })
  })
})

describe('digests through the log', () => {
  /** Positions of requests. */
  function requests(cluster: ViewCluster): number[] {
    return cluster.log.flatMap((bytes, at) => (decodeEntry(bytes).headers.has(DIGEST_HEADER) ? [at] : []))
  }

  /** What Base does: every server takes one where the log asks for it. */
  function take(cluster: ViewCluster, contentOf: (server: ViewServer) => string): void {
    const asked = requests(cluster).at(-1)
    if (asked === undefined) return
    for (const server of cluster.servers) {
      if (server.digest?.position !== asked) server.digest = digest(asked, { ledger: contentOf(server) })
    }
  }

  for (let phaseMs = 0; phaseMs < 5_000; phaseMs += 500) {
    it(`find a server whose content parted within one heartbeat, ${phaseMs} ms after one, and name it at all`, () => {
      const { cluster, servers } = clusterOf('a', 'b', 'c')
      const [a] = servers as [ViewServer]
      cluster.advance(20_000 + phaseMs, () => take(cluster, () => 'same'))
      expect(servers.flatMap(({ engine }) => engine.alarms())).toEqual([])
      a.write('random')
      cluster.advance(5_000, () => take(cluster, ({ name }) => (name === 'b' ? 'other' : 'same')))
      const at = requests(cluster).at(-1)
      for (const { engine } of servers) {
        expect(engine.alarms()).toEqual([
          `content differs in range ledger at position ${at}: server b (against the majority)`,
        ])
        expect(engine.digestAlarms).toEqual([{ position: at, range: 'ledger', servers: ['b'], majority: true }])
        expect(engine.details()).toMatchObject({ digestAlarms: 1 })
      }
      // Nothing is repaired, nothing is stopped, and the alarm stays.
      a.write('on')
      cluster.advance(60_000, () => take(cluster, () => 'same'))
      expect(a.engine.alarms()).toHaveLength(1)
      expect(new Set(servers.map(({ tx }) => tx.dump().join('\n'))).size).toBe(1)
    })
  }

  describe('of a server that differs', () => {
    function parted() {
      const { cluster, servers } = clusterOf('a', 'b', 'c')
      const [a, b, c] = servers as [ViewServer, ViewServer, ViewServer]
      let other = 'other'
      const pass = (ms: number) =>
        cluster.advance(ms, () => take(cluster, ({ name }) => (name === 'b' ? other : 'same')))
      const found = () =>
        [a, c].map(({ engine }) => engine.digestAlarms.map(({ servers }) => servers.join()).join('; '))
      cluster.advance(20_000, () => take(cluster, () => 'same'))
      a.write('w')
      pass(5_000)
      expect(found()).toEqual(['b', 'b'])
      const rebuilt = () => {
        other = 'same'
        b.digest = undefined
      }
      return { a, b, c, pass, found, rebuilt }
    }

    it('are no alarm any more once it has left', async () => {
      const { a, b, c, pass, found } = parted()
      await b.kill()
      void a.engine.leave('b')
      pass(500)
      expect(found()).toEqual(['', ''])
      expect(a.tx.dump()).toEqual(c.tx.dump())
    })

    it('are no alarm any more once it is evicted', async () => {
      const { a, b, pass, found } = parted()
      await b.kill()
      pass(120_000)
      expect(a.engine.members(a.tx).map(({ serverId }) => serverId)).toEqual(['a', 'c'])
      expect(found()).toEqual(['', ''])
    })

    it('are no alarm any more once it comes back rebuilt', async () => {
      const { b, pass, found, rebuilt } = parted()
      await b.kill()
      rebuilt()
      b.boot()
      pass(30_000)
      expect(found()).toEqual(['', ''])
    })

    it('are an alarm again if it comes back as it was', async () => {
      const { b, pass, found } = parted()
      await b.kill()
      b.boot()
      pass(500)
      expect(found()).toEqual(['', ''])
      pass(5_000)
      expect(found()).toEqual(['b', 'b'])
      // Once per life: the alarm stays.
      pass(60_000)
      expect(found()).toEqual(['b', 'b'])
    })
  })

  it('are asked for twice per interval at most, by the first member, and only if something was applied', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [, b] = servers as [ViewServer, ViewServer]
    cluster.advance(20_000, () => take(cluster, () => 'same'))
    const before = requests(cluster).length
    cluster.advance(600_000, () => take(cluster, () => 'same'))
    expect(requests(cluster)).toHaveLength(before)
    for (let i = 0; i < 10; i++) {
      b.write(`w${i}`)
      cluster.advance(5_000, () => take(cluster, () => 'same'))
    }
    expect(requests(cluster)).toHaveLength(before + 10)
    for (let i = 0; i < 100; i++) {
      b.write(`x${i}`)
      cluster.advance(500, () => take(cluster, () => 'same'))
    }
    expect(requests(cluster)).toHaveLength(before + 10 + 20)
  })

  it('are reported when they are there, also if that takes longer than it should', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(20_000, () => take(cluster, () => 'same'))
    b.write('w')
    const asked = requests(cluster).length
    while (requests(cluster).length === asked) cluster.advance(500)
    cluster.advance(1_500)
    take(cluster, ({ name }) => name)
    cluster.advance(500)
    expect(a.engine.alarms()).toHaveLength(1)
  })

  it('are asked for by another when the first does not', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(20_000, () => take(cluster, () => 'same'))
    const before = requests(cluster).length
    a.paused = true
    b.write('w')
    cluster.advance(20_000)
    expect(requests(cluster)).toHaveLength(before + 1)
  })

  it('cost nothing where there is one server', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    for (let i = 0; i < 10; i++) {
      a.write(`w${i}`)
      cluster.advance(5_000, () => cluster.flush())
    }
    expect(requests(cluster)).toEqual([])
  })

  it('are reported once, and again if the report was lost', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [, b] = servers as [ViewServer, ViewServer]
    b.digest = digest(1, { ledger: 'x' })
    b.cutOff = true
    cluster.advance(10_000)
    const rows = () => b.tx.dump().filter((row) => row.includes('view-tracking\\u0000d'))
    expect(rows()).toHaveLength(0)
    b.cutOff = false
    cluster.advance(5_000)
    expect(rows()).toHaveLength(1)
    const long = () => cluster.headers().filter((bytes) => bytes.length > 20).length
    const reported = long()
    cluster.advance(60_000)
    expect(long()).toBe(reported)
  })
})
