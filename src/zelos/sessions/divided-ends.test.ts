// The end of a session that has more ephemeral nodes than one update removes.

import { describe, expect, it } from 'vitest'
import { OPEN, Outcome, TestClient, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import { entryOf } from '../../engine/entry.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import { UpdateEncoder } from '../request-codec.ts'
import type { Update, UpdateOperation, UpdateResult } from '../requests.ts'
import { changeRange } from '../tree/key-space.ts'
import { ZCODE } from '../znode.ts'
import { PIECE_NODES } from './divided-ends.ts'

const NODES = 2 * PIECE_NODES + 7
const LOOK_MS = 1_000
/** Between two pieces. */
const PIECE_MS = 50

function server(store = emptyStore()): ZelosHarness {
  return new ZelosHarness(store)
}

function emptyStore(): ReturnType<typeof openMemoryStore> {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return openMemoryStore({ runtime: { clock: time, timers: time, random } })
}

function fill(client: TestClient, parent: string, count: number): void {
  client.create(parent)
  const operations = Array.from({ length: count }, (_, at): UpdateOperation => {
    return { op: 'create', path: `${parent}/${String(at).padStart(6, '0')}`, data: null, acl: OPEN, flags: 1 }
  })
  client.multi(...operations)
}

/** A server on which alice has very many ephemeral nodes, and bob watches them. */
function crowded(store = emptyStore()): { harness: ZelosHarness; alice: TestClient; bob: TestClient } {
  const harness = server(store)
  const [alice, bob] = [harness.client(4_000), harness.client(600_000)]
  fill(alice, '/many', NODES)
  harness.pass(LOOK_MS, () => harness.zelos.sessions.touch(alice.requester.session))
  harness.zelos.addWatch(bob, '/many', 'recursive')
  return { harness, alice, bob }
}

const left = ({ zelos }: ZelosHarness): number => zelos.stats.ephemeralCount

function closed({ zelos }: ZelosHarness, client: TestClient): Outcome<UpdateResult> {
  const outcome = new Outcome<UpdateResult>()
  zelos.closeSession(client.requester, outcome)
  return outcome
}

function comesBack(harness: ZelosHarness, { requester }: TestClient): Outcome<unknown> {
  const { session } = requester
  const outcome = new Outcome<unknown>()
  const password = harness.applicator.sessions.session(harness.store.read(), session)?.password ?? new Uint8Array(16)
  harness.zelos.sessions.reattach(session, password, 4_000, '', new TestClient(harness.zelos), outcome)
  return outcome
}

describe('the end of a session with very many ephemeral nodes', () => {
  it('comes in pieces of bounded size, and who closed it is answered when all are gone', () => {
    const { harness, alice, bob } = crowded()
    const before = harness.zelos.lastZxid
    const close = closed(harness, alice)
    expect([left(harness), close.settled]).toEqual([NODES - PIECE_NODES, false])
    harness.pass(PIECE_MS)
    expect([left(harness), close.settled]).toEqual([NODES - 2 * PIECE_NODES, false])
    harness.pass(PIECE_MS)
    expect([left(harness), close.settled]).toEqual([0, true])
    expect(close.value).toEqual({ zxid: before + 1, err: ZCODE.OK })
    expect(harness.zelos.sessions.count).toBe(1)
    const zxids = bob.events.map(({ zxid }) => zxid - before)
    expect([zxids.filter((zxid) => zxid === 1).length, zxids[0], zxids.at(-1)]).toEqual([PIECE_NODES, 1, 3])
    const events = bob.takeEvents()
    expect(events).toHaveLength(NODES)
    expect(events).toEqual([...events].sort())
    expect(harness.zelos.getData(bob.requester, '/many', undefined)).toMatchObject({ numChildren: 0 })
  })

  it('leaves nothing behind', () => {
    const harness = server()
    const bob = harness.client()
    bob.create('/many')
    // What has changed is kept.
    const keys = () => harness.content().flatMap(([key]) => (key.startsWith(changeRange().from) ? [] : [key]))
    const before = keys()
    const alice = harness.client()
    fill(alice, '/many', NODES)
    harness.pass(LOOK_MS)
    alice.setData('/many/000003', Buffer.alloc(5_000))
    closed(harness, alice)
    harness.pass(3 * PIECE_MS)
    expect(keys()).toEqual(before)
  })

  it('is not taken back: until it is over, nobody writes or comes back, and is not told that it is over either', () => {
    const { harness, alice } = crowded()
    harness.pass(3_900)
    while (alice.ended === undefined) harness.time.advance(1)
    expect(alice.ended).toBe('expired')
    expect(left(harness)).toBe(NODES - PIECE_NODES)
    expect(alice.create('/late').err).toBe(ZCODE.SESSION_MOVED)
    expect(alice.close().err).toBe(ZCODE.SESSION_MOVED)
    expect(comesBack(harness, alice).error?.code).toBe('CONFLICT')
    expect(harness.zelos.sessions.find(alice.requester.session, new Uint8Array(16))).toBeUndefined()
    harness.pass(3 * PIECE_MS)
    expect(left(harness)).toBe(0)
    expect(comesBack(harness, alice).value).toBeUndefined()
    expect(alice.create('/late').err).toBe(ZCODE.SESSION_EXPIRED)
    expect(harness.zelos.stats.sessionsExpired).toBe(1)
  })

  it('goes on after a restart in the middle of it, and while timers are switched on again', () => {
    const store = emptyStore()
    const { harness, alice } = crowded(store)
    closed(harness, alice)
    harness.close()
    const later = server(store)
    expect(left(later)).toBeLessThan(NODES - PIECE_NODES)
    void later.timer.proposeChange({ kind: 'flag', enabled: false })
    void later.timer.proposeChange({ kind: 'flag', enabled: true })
    later.pass(3 * PIECE_MS)
    expect([left(later), later.zelos.sessions.count]).toEqual([0, 1])
  })

  it('is answered with an error at a server that stops meanwhile', () => {
    const { harness, alice } = crowded()
    const close = closed(harness, alice)
    harness.close()
    expect(close.error?.code).toBe('CLOSED')
  })

  it('is answered so too if its first piece comes after the stop', () => {
    const { harness, alice } = crowded()
    harness.log.held = true
    const close = closed(harness, alice)
    harness.zelos.stopServing()
    harness.log.held = false
    harness.log.release()
    expect(left(harness)).toBe(NODES - PIECE_NODES)
    expect(close.error?.code).toBe('CLOSED')
  })

  it('removes the same at every server that applies its entries', () => {
    const { harness, alice } = crowded()
    closed(harness, alice)
    harness.pass(3 * PIECE_MS)
    const other = server()
    other.zelos.stopServing()
    for (const { entry } of harness.log.entries.slice(1)) other.log.propose(entry, new Outcome())
    expect(other.content()).toEqual(harness.content())
  })

  it('is one update in a log of an older build', () => {
    const harness = server()
    const encoder = new UpdateEncoder()
    const log = (update: Update): UpdateResult => {
      const outcome = new Outcome<UpdateResult>()
      harness.engine.propose(entryOf(encoder.encode(update, 0)), outcome)
      return outcome.value
    }
    log({ kind: 'createSession', password: new Uint8Array(16), timeoutMs: 4_000, address: '' })
    const requester = { session: 1, ownerEpoch: 1, address: '', identities: [] }
    const operations = Array.from({ length: NODES }, (_, at): UpdateOperation => {
      return { op: 'create', path: `/${at}`, data: null, acl: OPEN, flags: 1 }
    })
    log({ kind: 'multi', requester, operations })
    expect(left(harness)).toBe(NODES)
    expect(log({ kind: 'closeSession', requester }).err).toBe(ZCODE.OK)
    expect(left(harness)).toBe(0)
  })

  it('takes one update where there is room for all', () => {
    const { harness, bob } = crowded()
    const carl = harness.client()
    fill(carl, '/some', PIECE_NODES)
    harness.zelos.addWatch(bob, '/some', 'recursive')
    const { zxid } = carl.close()
    expect(new Set(bob.events.filter(({ type }) => type === 'deleted').map((event) => event.zxid))).toEqual(
      new Set([zxid]),
    )
    expect(left(harness)).toBe(NODES)
  })
})
