// Sessions of a database from end to end: records, table and expiry together.

import { describe, expect, it } from 'vitest'
import { type HarnessOptions, OPEN, Outcome, TestClient, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import { DelosError } from '../../base/delos-error.ts'
import { controlEntry, entryOf } from '../../engine/entry.ts'
import { encodeTimeHeader } from '../../engines/time/time-header.ts'
import { type StoredTimer, TimerRecords } from '../../engines/time/timer-records.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import { decodeUpdate, UpdateEncoder } from '../request-codec.ts'
import type { SessionRecord, Update, UpdateResult } from '../requests.ts'
import { snapshotOf } from '../tree/cached-node.ts'
import { changeRange, nodeKey, positionKey } from '../tree/key-space.ts'
import { ZCODE, type ZNode } from '../znode.ts'
import type { StoredSession } from './session-codec.ts'
import { sessionTimer } from './session-records.ts'

function server(options: HarnessOptions = {}): ZelosHarness {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }), { ...options, time })
}

/** The keys that the next transactions put. */
function spied({ store }: ZelosHarness): { readonly puts: string[] } {
  const puts: string[] = []
  const begin = store.begin.bind(store)
  store.begin = () => {
    const tx = begin()
    const put = tx.put.bind(tx)
    tx.put = (key, value) => {
      puts.push(key)
      put(key, value)
    }
    return tx
  }
  return { puts }
}

describe('a session', () => {
  it('is named by the zxid that created it, and starts with the first owner epoch', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open(4000)
    expect(session).toMatchObject({ id: 1, timeoutMs: 4000, ownerEpoch: 1, renewedAt: 10 })
    expect(session.password).toHaveLength(16)
    expect(harness.zelos.sessions.count).toBe(1)
  })

  it('takes its ephemeral nodes with it, all at one zxid, and leaves the others', () => {
    const harness = server()
    const alice = harness.client()
    const bob = harness.client()
    bob.create('/p')
    for (const path of ['/p/a', '/p/b', '/e']) alice.create(path, { flags: 1 })
    bob.create('/p/bob', { flags: 1 })
    expect(harness.zelos.stats.ephemeralCount).toBe(4)
    const { zxid } = alice.close()
    expect(alice.ended).toBe('closed')
    expect(harness.zelos.getChildren(bob.requester, '/p', undefined, 1000)).toMatchObject({
      children: ['bob'],
      node: { pzxid: zxid, numChildren: 1, createdChildren: 3 },
    })
    expect(harness.zelos.exists(bob.requester, '/e', undefined)).toBe(ZCODE.NO_NODE)
    expect(harness.zelos.stats).toMatchObject({ ephemeralCount: 1, sessionCount: 1, nodeCount: 6 })
  })

  it('leaves nothing behind wherever its nodes are, and writes the record of a parent of thousands a few times only', () => {
    const harness = server()
    const bob = harness.client()
    const quota = '/zookeeper/quota/p'
    for (const path of ['/p', '/p/a', '/p/a!', '/many', quota]) bob.create(path)
    bob.write({ op: 'create', path: '/c', data: null, acl: OPEN, flags: 0, lifetime: { kind: 'container', ms: 5000 } })
    bob.create(`${quota}/zookeeper_limits`, { data: Buffer.from('count=-1,bytes=-1') })
    bob.create(`${quota}/zookeeper_stats`, { data: Buffer.from('count=0,bytes=0') })
    const stats = () => Buffer.from((node(`${quota}/zookeeper_stats`).data as Uint8Array) ?? []).toString()
    const node = (path: string) => snapshotOf(harness.zelos.getData(bob.requester, path, undefined) as ZNode)
    const growing = [positionKey(0).slice(0, -8), changeRange().from]
    const keys = () => harness.content().flatMap(([key]) => (growing.some((one) => key.startsWith(one)) ? [] : [key]))
    const before = keys()
    const countsBefore = { counted: stats(), ...harness.zelos.stats }
    const alice = harness.client()
    const own = ['/p/a!/x', '/p/a/x', '/p/a-', '/p/a/y', '/p/z', '/c/1', '/c/2', '/e', `${quota}/own`, '/p/é']
    for (const path of own) alice.create(path, { data: Buffer.alloc(path === '/p/z' ? 6000 : 3), flags: 1 })
    alice.setData('/p/a/y', Buffer.alloc(4))
    alice.setAcl('/c/2', [{ perms: 31, scheme: 'ip', id: '127.0.0.1' }])
    for (let i = 0; i < 1900; i++) alice.create(`/many/${i}`, { flags: 1 })
    expect(stats()).not.toBe(countsBefore.counted)
    harness.zelos.addWatch(bob, '/', 'recursive')
    const { puts } = spied(harness)
    const { zxid } = alice.close()
    expect(bob.takeEvents().slice(0, 3)).toEqual(['deleted /c/1', 'deleted /c/2', 'deleted /e'])
    expect(keys()).toEqual(before)
    const { nodeCount, ephemeralCount, approximateDataBytes } = countsBefore
    expect(harness.zelos.stats).toMatchObject({ nodeCount, ephemeralCount, approximateDataBytes })
    expect(stats()).toBe(countsBefore.counted)
    expect(node('/p')).toMatchObject({ pzxid: zxid, numChildren: 2, createdChildren: 5 })
    expect(node('/p/a')).toMatchObject({ pzxid: zxid, numChildren: 0, createdChildren: 2 })
    expect(node('/p/a!')).toMatchObject({ pzxid: zxid, numChildren: 0, createdChildren: 1 })
    expect(node('/many')).toMatchObject({ pzxid: zxid, numChildren: 0, createdChildren: 1900 })
    expect(puts.filter((key) => key === nodeKey('/many')).length).toBeLessThanOrEqual(4)
    harness.pass(6000, () => harness.zelos.sessions.touch(bob.requester.session))
    expect(harness.zelos.exists(bob.requester, '/c', undefined)).toBe(ZCODE.NO_NODE)
  })

  it('closes without error also when it is gone already', () => {
    const harness = server()
    const alice = harness.client()
    expect(alice.close().err).toBe(0)
    expect(alice.close().err).toBe(0)
  })

  it('expires when its client is silent, and not while it shows life', () => {
    const harness = server()
    const alice = harness.client(4000)
    const bob = harness.client(4000)
    alice.create('/alice', { flags: 1 })
    harness.pass(6000, () => harness.zelos.sessions.touch(bob.requester.session))
    expect(alice.ended).toBe('expired')
    expect(bob.ended).toBeUndefined()
    expect(harness.zelos.exists(bob.requester, '/alice', undefined)).toBe(ZCODE.NO_NODE)
    expect(alice.create('/late').err).toBe(ZCODE.SESSION_EXPIRED)
    expect(bob.create('/bob').err).toBe(0)
  })

  it('lives on without a connection until its timeout', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open(4000)
    alice.create('/alice', { flags: 1 })
    harness.zelos.sessions.detach(session.id, alice)
    harness.pass(3900)
    const again = new TestClient(harness.zelos)
    expect(again.reattach(session)).toMatchObject({ id: session.id, ownerEpoch: 2 })
    harness.pass(3900)
    expect(harness.zelos.exists(again.requester, '/alice', undefined)).toMatchObject({ ephemeralOwner: session.id })
    harness.pass(500)
    expect(again.ended).toBe('expired')
    expect(alice.ended).toBeUndefined()
  })
})

describe('a move', () => {
  it('needs the password, and a session that is there', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open()
    const other = new TestClient(harness.zelos)
    expect(other.reattach({ ...session, password: new Uint8Array(16).fill(99) })).toBeUndefined()
    expect(other.reattach({ ...session, password: new Uint8Array(0) })).toBeUndefined()
    expect(other.reattach({ ...session, id: 77 })).toBeUndefined()
    expect(other.reattach({ ...session, id: -1 })).toBeUndefined()
    expect(other.reattach({ ...session, id: 2 ** 60 })).toBeUndefined()
    expect(alice.ended).toBeUndefined()
    expect(alice.create('/still-mine').err).toBe(0)
  })

  it('tells the old connection, and refuses what it still writes', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open(4000)
    const again = new TestClient(harness.zelos)
    const moved = again.reattach(session, 6000) as SessionRecord
    expect(moved).toMatchObject({ id: session.id, ownerEpoch: 2, timeoutMs: 6000, password: session.password })
    expect(alice.ended).toBe('moved')
    expect(alice.create('/a').err).toBe(ZCODE.SESSION_MOVED)
    expect(alice.multi({ op: 'check', path: '/', version: -1 })).toEqual([{ err: ZCODE.SESSION_MOVED }])
    expect(alice.close().err).toBe(ZCODE.SESSION_MOVED)
    expect(again.create('/a').err).toBe(0)
    expect(again.ended).toBeUndefined()
  })

  it('by two connections at once leaves the session with the later in the log', () => {
    const harness = server()
    const session = new TestClient(harness.zelos).open()
    const [first, second] = [new TestClient(harness.zelos), new TestClient(harness.zelos)]
    harness.log.held = true
    const outcomes = [first, second].map((client) => {
      const outcome = new Outcome<SessionRecord | undefined>()
      harness.zelos.sessions.reattach(session.id, session.password, 4000, '', client, outcome)
      return outcome
    })
    harness.log.release()
    expect(outcomes.map(({ value }) => value?.ownerEpoch)).toEqual([2, 3])
    harness.log.held = false
    first.use(outcomes[0]?.value as SessionRecord)
    second.use(outcomes[1]?.value as SessionRecord)
    expect(first.create('/first').err).toBe(ZCODE.SESSION_MOVED)
    expect(second.create('/second').err).toBe(0)
    expect([first.ended, second.ended]).toEqual(['moved', undefined])
  })

  it('that is applied after the session was closed in the same batch tells the client so', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open()
    const again = new TestClient(harness.zelos)
    harness.log.held = true
    const moved = new Outcome<SessionRecord | undefined>()
    harness.zelos.sessions.reattach(session.id, session.password, 4000, '', again, moved)
    const closed = new Outcome<UpdateResult>()
    harness.zelos.closeSession({ ...alice.requester, ownerEpoch: 2 }, closed)
    harness.log.release()
    expect(moved.value?.ownerEpoch).toBe(2)
    expect(again.ended).toBe('expired')
  })
})

describe('an expiry', () => {
  it('is void if the session was renewed at a later position than its proposer knew', () => {
    const harness = server()
    const alice = new TestClient(harness.zelos)
    const session = alice.open(4000)
    harness.log.held = true
    harness.pass(6000)
    const again = new TestClient(harness.zelos)
    const outcome = new Outcome<SessionRecord | undefined>()
    harness.zelos.sessions.reattach(session.id, session.password, 4000, '', again, outcome)
    // The move overtakes the expiry, as the log may order them.
    reverse(harness)
    harness.log.release()
    harness.log.held = false
    expect(outcome.value).toMatchObject({ ownerEpoch: 2 })
    again.use(outcome.value as SessionRecord)
    expect(again.create('/alive').err).toBe(0)
    expect(again.ended).toBeUndefined()
  })

  it('that the log refuses gives every session its full timeout again', () => {
    const harness = server()
    const alice = harness.client(4000)
    const bob = harness.client(6000)
    harness.log.refuse = new DelosError('DISK_FULL', 'no space')
    harness.pass(60_000)
    expect([alice.ended, bob.ended]).toEqual([undefined, undefined])
    harness.log.refuse = undefined
    harness.pass(500)
    expect([alice.ended, bob.ended]).toEqual([undefined, undefined])
    harness.pass(8000)
    expect([alice.ended, bob.ended]).toEqual(['expired', 'expired'])
  })

  it('does not happen while the log does not answer', () => {
    const harness = server()
    const alice = harness.client(4000)
    const bob = harness.client(4000)
    harness.log.held = true
    harness.zelos.write(alice.requester, { op: 'delete', path: '/x', version: -1 }, new Outcome<UpdateResult>())
    harness.pass(60_000)
    harness.log.held = false
    harness.log.release()
    harness.pass(3000)
    expect([alice.ended, bob.ended]).toEqual([undefined, undefined])
    harness.pass(2000)
    expect([alice.ended, bob.ended]).toEqual(['expired', 'expired'])
  })

  it('does not count what the process stood still', () => {
    const harness = server()
    const alice = harness.client(4000)
    harness.pass(3000)
    harness.time.advance(20_000)
    harness.pass(3900)
    expect(alice.ended).toBeUndefined()
  })

  it('begins anew after a restart', () => {
    const time = new ManualTime(queueMicrotask)
    const runtime = { clock: time, timers: time, random: { uint32: () => 7, bytes: (n: number) => new Uint8Array(n) } }
    const store = openMemoryStore({ runtime })
    const before = new ZelosHarness(store, { time })
    const session = new TestClient(before.zelos).open(4000)
    before.pass(3900)
    before.close()
    const after = new ZelosHarness(store, { time })
    after.pass(3900)
    expect(after.zelos.sessions.count).toBe(1)
    const alice = new TestClient(after.zelos)
    expect(alice.reattach(session)).toMatchObject({ ownerEpoch: 2 })
    after.pass(5000)
    expect(after.zelos.sessions.count).toBe(0)
  })
})

describe('with several servers', () => {
  const members = ['alone', 'other', 'third']

  /** The updates in the log, by kind. */
  function kinds(harness: ZelosHarness): string[] {
    return harness.log.entries.flatMap(({ entry: { payload } }) =>
      payload === undefined ? [] : [decodeUpdate(payload).update.kind],
    )
  }

  function vote(harness: ZelosHarness, serverId: string, id: number): void {
    const { generation } = armed(harness, id)
    const header = encodeTimeHeader({ kind: 'vote', serverId, generation, id: sessionTimer(id) })
    harness.engine.propose(controlEntry('time', header, true), new Outcome<UpdateResult>())
  }

  it('sessions that show life are renewed through the log, about three times within their timeout, many in one update', () => {
    const harness = server({ members })
    const clients = Array.from({ length: 500 }, () => harness.client(6000))
    const silent = harness.client(6000)
    const { renewedAt } = sessionOf(harness, silent)
    const before = kinds(harness).length
    harness.pass(12_000, () => {
      for (const { requester } of clients) harness.zelos.sessions.touch(requester.session)
    })
    const renewals = kinds(harness)
      .slice(before)
      .filter((kind) => kind === 'renewSessions').length
    expect(renewals).toBeGreaterThanOrEqual(5 * 3)
    expect(renewals).toBeLessThanOrEqual(8 * 3)
    const [first] = clients as [TestClient]
    expect(sessionOf(harness, first).renewedAt).toBeGreaterThan(renewedAt)
    expect(sessionOf(harness, silent).renewedAt).toBe(renewedAt)
  })

  it('alone, a server renews nothing', () => {
    const harness = server()
    const alice = harness.client(4000)
    harness.pass(20_000, () => harness.zelos.sessions.touch(alice.requester.session))
    expect(kinds(harness)).toEqual(['createSession'])
  })

  it('a renewal is tried again after the log refused it', () => {
    const harness = server({ members })
    const alice = harness.client(6000)
    const touch = () => harness.zelos.sessions.touch(alice.requester.session)
    harness.log.refuse = new DelosError('DISK_FULL', 'no space')
    harness.pass(5000, touch)
    harness.log.refuse = undefined
    harness.pass(500)
    expect(kinds(harness)).toEqual(['createSession', 'renewSessions'])
  })

  it('a renewal of an earlier owner is void, and so is one of a session that is gone', () => {
    const harness = server({ members })
    const alice = new TestClient(harness.zelos)
    const session = alice.open(6000)
    new TestClient(harness.zelos).reattach(session)
    const moved = sessionOf(harness, alice)
    const renewal: Update = {
      kind: 'renewSessions',
      sessions: [
        { session: session.id, ownerEpoch: 1 },
        { session: 77, ownerEpoch: 1 },
      ],
    }
    harness.engine.propose(entryOf(new UpdateEncoder().encode(renewal, 0)), new Outcome<UpdateResult>())
    expect(sessionOf(harness, alice)).toEqual(moved)
    expect(armed(harness, session.id).generation).toBe(moved.renewedAt)
  })

  it('a session ends when a majority has measured its timeout, and votes from before a renewal do not count', () => {
    const harness = server({ members })
    const alice = harness.client(6000)
    const { session } = alice.requester
    vote(harness, 'other', session)
    harness.pass(3000, () => harness.zelos.sessions.touch(session))
    expect(armed(harness, session).votes).toEqual([])
    // The last sign of life may have been renewed a third of the timeout later.
    harness.pass(6000 + 2000 + 750)
    expect(armed(harness, session).votes).toEqual(['alone'])
    expect(alice.ended).toBeUndefined()
    vote(harness, 'other', session)
    expect(alice.ended).toBe('expired')
  })

  function armed(harness: ZelosHarness, id: number): StoredTimer {
    return new TimerRecords('time\x00').get(harness.store.read(), sessionTimer(id)) as StoredTimer
  }

  function sessionOf(harness: ZelosHarness, { requester }: TestClient): StoredSession {
    return harness.applicator.sessions.session(harness.store.read(), requester.session) as StoredSession
  }
})

describe('timers that are switched', () => {
  const change = (harness: ZelosHarness, enabled: boolean) =>
    void harness.timer.proposeChange({ kind: 'flag', enabled })

  it('on where sessions are already give each its full timeout from there', () => {
    const harness = server({ timers: false })
    const alice = harness.client(4000)
    const bob = harness.client(4000)
    harness.pass(60_000)
    expect([alice.ended, bob.ended]).toEqual([undefined, undefined])
    change(harness, true)
    harness.pass(3900, () => harness.zelos.sessions.touch(bob.requester.session))
    expect(alice.ended).toBeUndefined()
    harness.pass(700, () => harness.zelos.sessions.touch(bob.requester.session))
    expect([alice.ended, bob.ended]).toEqual(['expired', undefined])
  })

  it('off end no session, and those that were closed meanwhile stay closed', () => {
    const harness = server()
    const alice = harness.client(4000)
    const bob = harness.client(4000)
    change(harness, false)
    harness.pass(60_000)
    expect([alice.ended, bob.ended]).toEqual([undefined, undefined])
    bob.close()
    change(harness, true)
    harness.pass(5000)
    expect([alice.ended, bob.ended]).toEqual(['expired', 'closed'])
    expect(harness.timer.details()).toMatchObject({ timers: 0, fired: 1 })
  })
})

/** Turns the waiting entries of a held log around. */
function reverse(harness: ZelosHarness): void {
  ;(harness.log as unknown as { waiting: unknown[] }).waiting.reverse()
}
