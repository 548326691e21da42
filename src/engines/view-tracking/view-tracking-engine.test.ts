// What the engine does at one server and between several, over a list as the log. Digests have a test of their own, as has the
// engine in real stacks (view-tracking-cluster.test.ts).

import { describe, expect, it } from 'vitest'
import { clusterOf, LEVELS, ViewCluster, type ViewServer } from '../../../test/support/view-cluster.ts'
import { encodeFlagChange } from '../../engine/engine-flags.ts'
import { controlEntry, entryOf } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { MEMBERS_MAX } from './replicated-view.ts'
import { decodeViewMessage, encodeViewMessage, type ViewMessage } from './view-message.ts'
import { VIEW_TRACKING, viewTrackingEngine } from './view-tracking-engine.ts'

const HOUR = 3_600_000

/** What was said in the log from position `from` on, switches left out. */
function said(cluster: ViewCluster, from = 0): ViewMessage[] {
  return cluster
    .headers(from)
    .filter((bytes) => (bytes[0] as number) >= 16)
    .map(decodeViewMessage)
}

function kinds(cluster: ViewCluster, from = 0): string[] {
  return said(cluster, from).map(({ kind, serverId }) => `${kind} ${serverId}`)
}

/** The engine's own control entry, from nobody. */
function enabling(): Uint8Array {
  return encodeEntry(controlEntry(VIEW_TRACKING, encodeFlagChange({ kind: 'flag', enabled: true }), true))
}

/** Puts a header into the log as if its server had proposed it. */
function inject(cluster: ViewCluster, message: ViewMessage): void {
  const bytes = encodeViewMessage(message)
  const payload = message.kind === 'report' ? Buffer.from('injected') : undefined
  cluster.log.push(
    encodeEntry({ headers: new Map([[VIEW_TRACKING, { bytes, mustUnderstand: false }]]), payload, index: 0 }),
  )
  cluster.settle()
}

function report(serverId: string, durable: number): ViewMessage {
  return { kind: 'report', serverId, durable: durable as LogPos, digest: undefined }
}

function members(server: ViewServer): readonly string[] {
  return server.engine.members(server.tx).map(({ serverId }) => serverId)
}

function durableOf(server: ViewServer, serverId: string): number | undefined {
  return server.engine.members(server.tx).find((member) => member.serverId === serverId)?.durable
}

describe('joining', () => {
  it('happens when a server serves, with what its build knows', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    const from = cluster.log.length
    const b = cluster.add('b')
    const levels = new Map([...LEVELS, ['time', 2]])
    b.boot({ levels })
    expect(kinds(cluster, from)).toEqual(['join b'])
    for (const server of [a, b]) {
      expect(server.engine.members(server.tx)).toMatchObject([
        { serverId: 'a', levels: LEVELS },
        { serverId: 'b', levels },
      ])
    }
  })

  it('happens when the engine gets enabled, at every server that serves', () => {
    const cluster = new ViewCluster()
    const [a, b] = [cluster.add('a'), cluster.add('b')]
    for (const server of [a, b]) server.boot()
    cluster.advance(HOUR)
    expect(cluster.log).toEqual([])
    b.enable()
    expect(kinds(cluster)).toEqual(['join a', 'join b'])
    expect(members(a)).toEqual(['a', 'b'])
  })

  it('happens again when the build announces other levels, and not when it announces the same', async () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    const { missing } = a.engine.providesMembership
    expect(missing(a.tx, 'time', 1)).toEqual(['a', 'b'])
    const from = cluster.log.length
    await b.kill()
    b.boot()
    expect(kinds(cluster, from)).toEqual([])
    await b.kill()
    b.boot({ levels: new Map([...LEVELS, ['time', 1]]) })
    expect(kinds(cluster, from)).toEqual(['join b'])
    expect(missing(a.tx, 'time', 1)).toEqual(['a'])
    await b.kill()
    b.boot()
    expect(missing(a.tx, 'time', 1)).toEqual(['a', 'b'])
  })

  it('is refused with "bootstrap" below the trimmed prefix, and works once the durable position has moved', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    for (let i = 0; i < 20; i++) a.write(`w${i}`)
    a.flush()
    cluster.advance(20_000)
    expect(a.engine.released).toBeGreaterThan(20)
    const b = cluster.add('b')
    const from = cluster.log.length
    b.boot()
    expect(members(a)).toEqual(['a'])
    expect(b.engine.alarms()).toEqual([expect.stringContaining('bootstrap')])
    expect(a.engine.alarms()).toEqual([])
    cluster.advance(10_000)
    expect(kinds(cluster, from).filter((kind) => kind === 'join b')).toHaveLength(1)
    b.flush()
    cluster.advance(500)
    expect(members(a)).toEqual(['a', 'b'])
    expect(b.engine.alarms()).toEqual([])
  })

  it('is refused when the view is full', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    for (let i = 1; i < MEMBERS_MAX; i++) {
      inject(cluster, { kind: 'join', serverId: `m${i}`, durable: 5 as LogPos, levels: LEVELS })
    }
    const b = cluster.add('b')
    b.boot()
    expect(members(a)).toHaveLength(MEMBERS_MAX)
    expect(members(a)).not.toContain('b')
    expect(b.engine.alarms()).toEqual([expect.stringContaining('MEMBERS_MAX')])
  })
})

describe('the header of proposals', () => {
  it('bears the durable position, not the applied one', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    a.flush()
    const durable = a.cursor
    for (let i = 0; i < 10; i++) a.write(`w${i}`)
    expect(a.cursor).toBe(durable + 10)
    expect(said(cluster, durable)).toEqual([report('a', durable)])
    for (const server of [a, b]) expect(durableOf(server, 'a')).toBe(durable)
    a.flush()
    a.write('last')
    expect(durableOf(b, 'a')).toBe(durable + 10)
    expect(b.payloads).toHaveLength(11)
  })

  it('is on the first proposals of an interval and of a durable position alone, until one of them is applied', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a] = servers as [ViewServer]
    const reports = (write: () => void): number => {
      const from = cluster.log.length
      write()
      return kinds(cluster, from).filter((kind) => kind === 'report a').length
    }
    const many = (): void => {
      for (let i = 0; i < 10; i++) a.write(`w${i}`)
    }
    a.flush()
    expect([reports(many), reports(many)]).toEqual([1, 0])
    a.flush()
    expect([reports(many), reports(many)]).toEqual([1, 0])
    expect(reports(() => cluster.advance(60_000, many))).toBe(12)
  })

  it('stands beside those of the layers above', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    const above = { bytes: Buffer.from('x'), mustUnderstand: true }
    const entry = { headers: new Map([['batching', above]]), payload: Buffer.from('p'), index: 0 }
    a.engine.propose(entry, { resolve: () => undefined, reject: () => undefined })
    const { headers } = decodeEntry(cluster.log.at(-1) as Uint8Array)
    expect([...headers.keys()]).toEqual(['batching', VIEW_TRACKING])
    expect(headers.get('batching')).toEqual(above)
    expect(entry.headers.size).toBe(1)
  })

  it('is not on proposals of a server that is no member, and changes nothing if it names one', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    const rows = a.tx.dump()
    inject(cluster, report('stranger', 3))
    expect(a.tx.dump()).toEqual(rows)
    expect(a.payloads).toEqual(['injected'])
    const b = cluster.add('b')
    b.cutOff = true
    b.boot()
    b.cutOff = false
    b.write('p')
    expect(decodeEntry(cluster.log.at(-1) as Uint8Array).headers.size).toBe(0)
  })

  it('that was overtaken on its way takes no position back', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    inject(cluster, report('a', 4))
    inject(cluster, report('b', 4))
    inject(cluster, report('b', 2))
    expect(durableOf(a, 'b')).toBe(4)
    expect(a.engine.released).toBe(4)
    // So does an announcement of a member.
    inject(cluster, { kind: 'join', serverId: 'b', durable: 1 as LogPos, levels: LEVELS })
    expect(durableOf(b, 'b')).toBe(4)
  })
})

describe('an idle server', () => {
  it('sends heartbeats, so that trimming goes on and nobody takes it for dead', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    for (let i = 0; i < 40; i++) {
      a.write(`w${i}`)
      cluster.advance(5_000)
      cluster.flush()
    }
    expect(
      said(cluster).filter(({ kind, serverId }) => kind === 'heartbeat' && serverId === 'b').length,
    ).toBeGreaterThan(30)
    expect(members(a)).toEqual(['a', 'b'])
    expect(b.trimPrefix).toBeGreaterThan(cluster.log.length - 10)
  })

  it('sends none in an interval in which its proposals spoke for it', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a] = servers as [ViewServer]
    cluster.advance(5_000)
    const from = cluster.log.length
    cluster.advance(60_000, () => a.write('w'))
    expect(kinds(cluster, from)).not.toContain('heartbeat a')
    expect(kinds(cluster, from)).toContain('heartbeat b')
  })

  it('that is alone sends nothing once what it did is reported as durable', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    a.write('w')
    const from = cluster.log.length
    cluster.advance(60_000, () => cluster.flush())
    expect(kinds(cluster, from)).toEqual(['heartbeat a'])
    expect(a.trimPrefix).toBe(from)
    cluster.advance(HOUR, () => cluster.flush())
    expect(cluster.log).toHaveLength(from + 1)
  })
})

describe('a silent server', () => {
  it('is dropped through the log, and no longer holds trimming back', async () => {
    const { cluster, servers } = clusterOf('a', 'b', 'c')
    const [a, b, c] = servers as [ViewServer, ViewServer, ViewServer]
    cluster.flush()
    cluster.advance(10_000)
    const heard = b.engine.members(b.tx).find(({ serverId }) => serverId === 'c')?.lastHeard
    await c.kill()
    const from = cluster.log.length
    cluster.advance(59_000, () => cluster.flush())
    expect(members(a)).toEqual(['a', 'b', 'c'])
    const held = a.trimPrefix
    expect(held).toBeLessThanOrEqual(durableOf(a, 'c') as number)
    cluster.advance(16_000, () => cluster.flush())
    expect(members(a)).toEqual(['a', 'b'])
    expect(said(cluster, from)).toContainEqual({ kind: 'evict', serverId: 'c', lastHeard: heard })
    expect(a.trimPrefix).toBeGreaterThan(held)
    expect(b.tx.dump()).toEqual(a.tx.dump())
    expect(a.engine.details()).toMatchObject({ members: 2, accusations: 1, lastAccused: 'c' })
  })

  it('stays if it was heard after the position that the accusation names', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    const heard = a.engine.members(a.tx).find(({ serverId }) => serverId === 'b')?.lastHeard as LogPos
    b.write('alive')
    const rows = a.tx.dump()
    inject(cluster, { kind: 'evict', serverId: 'b', lastHeard: heard })
    expect(a.tx.dump()).toEqual(rows)
    inject(cluster, { kind: 'evict', serverId: 'b', lastHeard: (cluster.log.length - 2) as LogPos })
    expect(a.tx.dump()).not.toEqual(rows)
    expect(b.tx.dump()).toEqual(a.tx.dump())
  })

  it('that lives joins again when it learns of it, with what it has durably applied by then', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    b.paused = true
    for (let i = 0; i < 30; i++) {
      a.write(`w${i}`)
      cluster.flush()
      cluster.advance(5_000)
    }
    expect(members(a)).toEqual(['a'])
    expect(a.engine.released).toBeGreaterThan(b.durable)
    b.paused = false
    cluster.settle()
    // Not yet durable here, and the log may be gone there.
    expect(members(a)).toEqual(['a'])
    expect(b.engine.alarms()).toEqual([expect.stringContaining('bootstrap')])
    b.flush()
    cluster.advance(1_000)
    expect(members(a)).toEqual(['a', 'b'])
    expect(b.engine.alarms()).toEqual([])
  })
})

describe('nobody is accused', () => {
  it('by a server that lags behind the log', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(20_000)
    b.stalled = true
    // Its clock goes on, and what it proposes arrives, but it hears neither the others nor itself.
    for (let i = 0; i < 10; i++) {
      cluster.advance(50_000)
      inject(cluster, report('b', 1))
    }
    expect(b.engine.details().accusations).toBe(0)
    b.stalled = false
    cluster.settle()
    cluster.advance(20_000)
    expect(kinds(cluster).filter((kind) => kind.startsWith('evict'))).toEqual([])
    expect(members(a)).toEqual(['a', 'b'])
  })

  it('by a server whose own proposals do not come back', () => {
    const { cluster, servers } = clusterOf('a', 'b', 'c')
    const [a, b, c] = servers as [ViewServer, ViewServer, ViewServer]
    cluster.advance(20_000)
    // It is cut off from the log's writers, and c has died: a may say so, b may not.
    b.cutOff = true
    c.paused = true
    cluster.advance(70_000)
    expect(b.engine.details().accusations).toBe(0)
    expect(a.engine.details().accusations).toBeLessThanOrEqual(2)
  })

  it('at a server that has just started, for a whole timeout', async () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(20_000)
    await b.kill()
    cluster.advance(30_000)
    await a.kill()
    a.time.advance(HOUR)
    a.boot()
    cluster.advance(60_000)
    expect(members(a)).toEqual(['a', 'b'])
    cluster.advance(20_000)
    expect(members(a)).toEqual(['a'])
  })
})

describe('leaving', () => {
  it('releases the log for a server that was ended for good', async () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    await b.kill()
    for (let i = 0; i < 9; i++) a.write(`w${i}`)
    a.flush()
    a.write('w9')
    expect(a.trimPrefix).toBe(0)
    const left = a.engine.leave('b')
    cluster.settle()
    expect(await left).toEqual({ kind: 'done' })
    expect(a.trimPrefix).toBe(a.durable)
    const again = a.engine.leave('b')
    cluster.settle()
    expect(await again).toEqual({ kind: 'void', reason: 'b is no member' })
  })

  it('keeps a server that lives out until its next start, with an alarm', async () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    void a.engine.leave('b')
    cluster.settle()
    cluster.advance(60_000)
    expect(members(b)).toEqual(['a'])
    expect(b.engine.alarms()).toEqual([expect.stringContaining('next start')])
    await b.kill()
    b.flush()
    b.boot()
    expect(members(a)).toEqual(['a', 'b'])
  })

  it('is refused to the last member', async () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    const left = a.engine.leave('a')
    cluster.settle()
    expect(await left).toEqual({ kind: 'refused', reason: 'a is the last member' })
    expect(members(a)).toEqual(['a'])
  })
})

describe('trimming', () => {
  it('follows the least durable position of the view, never past one of them, and never back', () => {
    const { cluster, servers } = clusterOf('a', 'b', 'c')
    let last = 0
    for (let round = 0; round < 60; round++) {
      const [slow, other] = [servers[round % 3] as ViewServer, servers[(round + 1) % 3] as ViewServer]
      other.write(`w${round}`)
      if (round % 4 !== 3) other.flush()
      else slow.flush()
      cluster.advance(2_500)
      const least = Math.min(...servers.map(({ durable }) => durable))
      for (const server of servers) {
        expect(server.trimPrefix).toBeLessThanOrEqual(least)
        expect(server.trimPrefix).toBeGreaterThanOrEqual(last)
      }
      last = Math.min(...servers.map(({ trimPrefix }) => trimPrefix))
    }
    expect(last).toBeGreaterThan(40)
  })

  it('is never beyond what the layers above allow', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    const passedDown: number[] = []
    a.setTrimPrefix = (pos) => passedDown.push(pos)
    const allow = (pos: number) => a.engine.setTrimPrefix(pos as LogPos)
    // A layer above that has said nothing yet, at a server that has just started.
    a.allowAll = false
    void a.engine.stop()
    a.boot()
    const step = () => {
      a.write('w')
      a.flush()
    }
    cluster.advance(20_000, step)
    expect(a.engine.released).toBeGreaterThan(30)
    expect(passedDown).toEqual([])
    allow(7)
    allow(5)
    allow(20)
    expect(passedDown).toEqual([7, 20])
    allow(Number.MAX_SAFE_INTEGER)
    expect(passedDown).toEqual([7, 20, a.engine.released])
  })

  it('stands still while nobody is in the view', () => {
    const cluster = new ViewCluster()
    const a = cluster.add('a')
    a.boot()
    a.write('w')
    expect(a.trimPrefix).toBe(1)
    a.cutOff = true
    a.flush()
    // Somebody else enables it, and this server can't join.
    cluster.log.push(enabling())
    for (let i = 0; i < 10; i++) cluster.log.push(encodeEntry(entryOf(Buffer.from(`w${i}`))))
    cluster.advance(20_000, () => a.flush())
    expect(a.engine.flags.enabled).toBe(true)
    expect(a.trimPrefix).toBe(1)
  })

  it('is what the layers above allow before the engine was ever enabled, as far as it is applied', () => {
    const cluster = new ViewCluster()
    const a = cluster.add('a')
    a.boot()
    for (let i = 0; i < 10; i++) a.write(`w${i}`)
    expect(a.trimPrefix).toBe(10)
    expect(cluster.headers()).toEqual([])
    expect(a.tx.dump()).toEqual([])
    // What was passed down before can't be taken back: from here on the members count.
    a.enable()
    for (let i = 0; i < 10; i++) a.write(`w${i}`)
    expect(a.trimPrefix).toBeLessThanOrEqual(11)
  })

  it('stays where it is once there is a member and the engine is disabled: who joins later is held against it', () => {
    const { cluster, servers } = clusterOf('a')
    const [a] = servers as [ViewServer]
    for (let i = 0; i < 10; i++) a.write(`w${i}`)
    a.flush()
    cluster.advance(6_000)
    a.enable(false)
    expect(a.engine.alarms()).toEqual(['disabled with 1 member: the log is not trimmed any more'])
    const released = a.engine.released
    const headers = cluster.headers().length
    for (let i = 0; i < 10; i++) a.write(`w${i}`)
    a.flush()
    cluster.advance(6_000)
    expect(a.trimPrefix).toBe(released)
    expect(cluster.headers()).toHaveLength(headers)
    // What a later server needs is still there.
    a.enable()
    inject(cluster, { kind: 'join', serverId: 'b', durable: released, levels: LEVELS })
    expect(members(a)).toEqual(['a', 'b'])
    expect(a.trimPrefix).toBe(released)
    expect(a.engine.alarms()).toEqual([])
  })
})

describe('the view', () => {
  it('is a function of the log: another server that plays it has the same rows, from any start', async () => {
    const { cluster, servers } = clusterOf('a', 'b', 'c')
    const [a, b, c] = servers as [ViewServer, ViewServer, ViewServer]
    for (let i = 0; i < 30; i++) {
      a.write(`w${i}`)
      if (i % 3 === 0) b.flush()
      if (i === 10) await c.kill()
      cluster.advance(6_000)
      a.flush()
    }
    expect(members(a)).toEqual(['a', 'b'])
    const rows = a.tx.dump()
    expect(rows.length).toBeGreaterThan(4)
    expect(b.tx.dump()).toEqual(rows)
    const replayed = cluster.add('replayed')
    replayed.cutOff = true
    replayed.boot()
    expect(replayed.tx.dump()).toEqual(rows)
    // c goes on from where it died.
    c.cutOff = true
    c.boot()
    expect(c.tx.dump()).toEqual(rows)
  })

  it('answers who is missing an engine: whoever has not announced it, and somebody while it is empty', () => {
    const cluster = new ViewCluster()
    const a = cluster.add('a')
    a.boot()
    const membership = a.engine.providesMembership
    expect(membership.members(a.tx)).toEqual([])
    expect(membership.missing(a.tx, 'batching', 0)).toEqual([])
    expect(membership.missing(a.tx, 'time', 0)).toEqual(['a'])
    a.cutOff = true
    const b = cluster.add('b')
    b.boot({ levels: new Map([...LEVELS, ['time', 0]]) })
    cluster.log.push(enabling())
    cluster.settle()
    expect(membership.members(a.tx)).toEqual(['b'])
    expect(membership.missing(a.tx, 'time', 0)).toEqual([])
    expect(membership.missing(a.tx, 'time', 1)).toEqual(['b'])
  })

  it('that is empty refuses every switch', () => {
    const cluster = new ViewCluster()
    const a = cluster.add('a')
    a.boot()
    a.cutOff = true
    cluster.log.push(enabling())
    cluster.settle()
    const membership = a.engine.providesMembership
    expect(membership.missing(a.tx, 'batching', 0)).toEqual(['(no member has joined yet)'])
    expect(membership.members(a.tx)).toEqual([])
  })

  it('is the same to all who ask while the engine is disabled, and holds the log with a word', () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(6_000)
    a.enable(false)
    a.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
    const before = a.trimPrefix
    for (let i = 0; i < 20; i++) a.write(`w${i}`)
    a.flush()
    cluster.advance(12_000)
    for (const server of [a, b]) expect(server.engine.providesMembership.members(server.tx)).toEqual(['a', 'b'])
    expect(a.trimPrefix).toBe(before)
    expect(a.engine.alarms()).toEqual(['disabled with 2 members: the log is not trimmed any more'])
    a.enable()
    cluster.advance(12_000)
    expect(a.engine.alarms()).toEqual([])
  })

  it('holds the log for a sole member also at a server that was sent away, while the engine is disabled', async () => {
    const { cluster, servers } = clusterOf('a', 'b')
    const [a, b] = servers as [ViewServer, ViewServer]
    cluster.advance(6_000)
    void b.engine.leave('a')
    cluster.advance(1_000)
    expect(b.engine.providesMembership.members(b.tx)).toEqual(['b'])
    b.enable(false)
    const before = a.trimPrefix
    a.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
    for (let i = 0; i < 20; i++) b.write(`w${i}`)
    a.flush()
    cluster.advance(12_000)
    expect(a.trimPrefix).toBe(before)
    expect(a.engine.alarms()).toContainEqual('disabled with 1 member: the log is not trimmed any more')
  })
})

it('refuses to be made with a silence that a few lost heartbeats would fill', () => {
  expect(() => viewTrackingEngine({ heartbeatMs: 5_000, silentMs: 10_000 })).toThrow('silentMs')
})
