// The checkers of the workload, on small histories that are right, and on the same with one thing wrong.

import { describe, expect, it } from 'vitest'
import type { Update, UpdateOperation } from '../../../zelos/requests.ts'
import { OP } from '../../../zookeeper/codec/opcodes.ts'
import { wireSessionId } from '../../../zookeeper/codec/session-id.ts'
import { EVENT_TYPE } from '../../../zookeeper/codec/watch-codes.ts'
import type { SetWatchesRequest, WireRequest } from '../../../zookeeper/codec/wire-requests.ts'
import { TreeModel } from '../zelos/tree-model.ts'
import type { ConnectionTape, EventFrame, Frame, ReplyFrame, SentRequest, SessionTape } from './tape.ts'
import { checkAnswers, checkEnd } from './tape-checker.ts'
import { TreeHistory } from './tree-history.ts'
import { checkWatches } from './watch-checker.ts'

const ACL = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const { nodeChildrenChanged, nodeCreated, nodeDataChanged, nodeDeleted } = EVENT_TYPE
const TIMEOUT_MS = 1_000

const create = (path: string, flags = 0): UpdateOperation => ({ op: 'create', path, data: null, acl: ACL, flags })
const setData = (path: string, data = ''): UpdateOperation => ({
  op: 'setData',
  path,
  data: Buffer.from(data),
  version: -1,
})
const remove = (path: string): UpdateOperation => ({ op: 'delete', path, version: -1 })

/** Sessions 1 and 2 are made by zxids 1 and 2, the rest by those after them, each 10 ms after the other. */
function historyOf(...updates: readonly (UpdateOperation | 'expire' | 'close')[]): TreeHistory {
  const model = new TreeModel()
  const history = new TreeHistory()
  const apply = (update: Update): void => {
    const expected = model.apply(update, history.last + 1)
    history.note(update, expected, model, (history.last + 1) * 10)
  }
  const password = new Uint8Array(16)
  for (let i = 0; i < 2; i++) apply({ kind: 'createSession', password, timeoutMs: TIMEOUT_MS, address: '' })
  const requester = { session: 1, ownerEpoch: 1, address: '', identities: [] }
  for (const one of updates) {
    if (one === 'expire') apply({ kind: 'expireSession', session: 1, heardAt: 1 })
    else if (one === 'close') apply({ kind: 'closeSession', requester })
    else apply({ kind: 'write', requester, operation: one })
  }
  return history
}

interface Sent {
  readonly request: WireRequest
  readonly seen?: number
  readonly floor?: number
  readonly sentMs?: number
}

class Tape implements ConnectionTape {
  life = 1
  readonly openedMs = 0
  readonly sent: SentRequest[] = []
  readonly received: Frame[] = []

  ask({ request, seen = 0, floor = 0, sentMs = 0 }: Sent): SentRequest {
    const sent: SentRequest = { request, seen, floor, sentMs, reply: undefined }
    this.sent.push(sent)
    return sent
  }

  answer(to: SentRequest, zxid: number, err = 0, body: ReplyFrame['body'] = {}): this {
    const reply: ReplyFrame = { kind: 'reply', to, zxid, err, body }
    to.reply = reply
    this.received.push(reply)
    return this
  }

  /** Asks, and is answered. */
  ok(request: WireRequest, zxid: number, err = 0, body: ReplyFrame['body'] = {}): this {
    return this.answer(this.ask({ request }), zxid, err, body)
  }

  event(type: number, path: string, zxid: number): this {
    const event: EventFrame = { kind: 'event', type, path, zxid }
    this.received.push(event)
    return this
  }
}

function sessionOf(...connections: readonly ConnectionTape[]): SessionTape {
  return {
    id: wireSessionId(1),
    timeoutMs: TIMEOUT_MS,
    password: new Uint8Array(16),
    connections: [...connections],
    closing: false,
    toldGoneMs: undefined,
  }
}

const exists = (path: string, watch = true): WireRequest => ({ op: OP.exists, path, watch })
const children = (path: string): WireRequest => ({ op: OP.getChildren, path, watch: true })
const ping: WireRequest = { op: OP.ping }
const asked = (operation: UpdateOperation): WireRequest => {
  const { path } = operation
  if (operation.op === 'delete') return { op: OP.delete, path, version: -1 }
  if (operation.op === 'setData') return { op: OP.setData, path, data: operation.data as Buffer, version: -1 }
  return { op: OP.create, path, data: null, acl: ACL, flags: 0, ttlMs: 0 }
}
const again = (relativeZxid: number, watches: Partial<SetWatchesRequest>): SetWatchesRequest => ({
  op: OP.setWatches2,
  relativeZxid,
  dataWatches: [],
  existWatches: [],
  childWatches: [],
  persistentWatches: [],
  persistentRecursiveWatches: [],
  ...watches,
})

describe('the checker of watches', () => {
  // 3 creates, 4 and 5 change, 6 deletes.
  const history = historyOf(create('/a'), setData('/a', 'x'), setData('/a', 'y'), remove('/a'))
  const check = (tape: ConnectionTape) => () => checkWatches(history, tape)
  const watching = () => new Tape().ok(exists('/a'), 2, -101)

  it('passes an event that comes once, before the reply that shows its change', () => {
    expect(check(watching().event(nodeCreated, '/a', 3).ok(ping, 3).ok(ping, 5))).not.toThrow()
  })

  it('finds a lost, a doubled, a late and a wrong one', () => {
    expect(check(watching().ok(ping, 3))).toThrow('nodeCreated /a of zxid 3 did not come before a reply to 11 of 3')
    expect(check(watching().event(nodeCreated, '/a', 3).event(nodeCreated, '/a', 3))).toThrow('was to come none')
    expect(check(watching().ok(ping, 3).event(nodeCreated, '/a', 3))).toThrow('did not come before')
    expect(check(watching().event(nodeDeleted, '/a', 6))).toThrow('was to come nodeCreated /a of zxid 3')
    expect(check(new Tape().ok(ping, 2).event(nodeCreated, '/a', 3))).toThrow('was to come none')
  })

  it('knows which watches stay, and what children are told of', () => {
    const lasting = new Tape().ok({ op: OP.addWatch, path: '/', mode: 1 }, 2)
    for (const [type, zxid] of [
      [nodeCreated, 3],
      [nodeDataChanged, 4],
      [nodeDataChanged, 5],
      [nodeDeleted, 6],
    ] as const)
      lasting.event(type, '/a', zxid)
    expect(check(lasting.ok(ping, 6))).not.toThrow()
    const once = new Tape().ok(children('/'), 2).event(nodeChildrenChanged, '/', 3)
    expect(check(once.ok(ping, 6))).not.toThrow()
    expect(check(once.event(nodeChildrenChanged, '/', 6))).toThrow('was to come none')
  })

  it('passes what a connection that comes back has missed, told once', () => {
    const data = new Tape().event(nodeDataChanged, '/a', 5).ok(again(4, { dataWatches: ['/a'] }), 5)
    expect(check(data.ok(ping, 6))).not.toThrow()
    const lasting = new Tape().event(nodeDataChanged, '/a', 5).event(nodeDeleted, '/a', 6)
    expect(check(lasting.ok(again(4, { persistentWatches: ['/a'] }), 6))).not.toThrow()
    const still = new Tape()
      .ok(again(4, { dataWatches: ['/a'] }), 4)
      .event(nodeDataChanged, '/a', 5)
      .ok(ping, 6)
    expect(check(still)).not.toThrow()
  })

  it('finds what such a connection was not told, was told twice, or was told of a time before', () => {
    const watches = { dataWatches: ['/a'] }
    expect(check(new Tape().ok(again(4, watches), 5))).toThrow('0 events instead of 1')
    const twice = new Tape().event(nodeDataChanged, '/a', 5).event(nodeDataChanged, '/a', 5)
    expect(check(twice.ok(again(4, watches), 5))).toThrow('2 events instead of 1')
    expect(check(new Tape().event(nodeDataChanged, '/a', 4).ok(again(4, watches), 4))).toThrow('1 events instead of 0')
    expect(check(new Tape().ok(again(4, watches), 4).ok(ping, 5))).toThrow('did not come before')
    const short = new Tape().event(nodeDeleted, '/a', 6).ok(again(4, { persistentWatches: ['/a'] }), 6)
    expect(check(short)).toThrow('1 events instead of 2')
  })
})

describe('the checker of answers', () => {
  const updates = [create('/a'), setData('/a', 'x'), setData('/a', 'y')]
  const history = historyOf(...updates)
  const check =
    (...connections: readonly ConnectionTape[]) =>
    () =>
      checkAnswers(history, sessionOf(...connections))
  const [first, second, third] = updates.map(asked) as [WireRequest, WireRequest, WireRequest]
  const good = () => {
    const tape = new Tape().ok(first, 3, 0, { path: '/a' })
    return tape.ok(second, 5, 0, { stat: stat(4) }).ok(third, 5, 0, { stat: stat(5) })
  }
  const stat = (mzxid: number) => ({
    czxid: 3,
    mzxid,
    version: mzxid - 3,
    ephemeralOwner: 0n,
    ctime: 0,
    mtime: 0,
    cversion: 0,
    aversion: 0,
    dataLength: 1,
    numChildren: 0,
    pzxid: 3,
  })

  it('passes updates in their order, also those whose answer was lost, over several connections', () => {
    expect(check(good())).not.toThrow()
    const cut = new Tape().ok(first, 3, 0, { path: '/a' })
    cut.ask({ request: second })
    expect(check(cut, new Tape().ok(third, 5, 0, { stat: stat(5) }))).not.toThrow()
  })

  it('finds an update out of order, applied twice, or never sent', () => {
    expect(check(new Tape().ok(second, 4).ok(first, 4).ok(third, 5))).toThrow('is no update that was sent, or not then')
    expect(() => checkAnswers(historyOf(...updates, updates[2] as UpdateOperation), sessionOf(good()))).toThrow(
      'zxid 6',
    )
    expect(() => checkAnswers(historyOf(...updates, 'close'), sessionOf(good()))).toThrow('closeSession')
  })

  it('finds an update that was answered and never applied, or answered with something else', () => {
    const other = asked(setData('/a', 'z'))
    expect(check(good().ok(other, 5, 0, { stat: stat(5) }))).toThrow('was never applied')
    expect(check(good().ok(other, 5, -1))).not.toThrow()
    const tape = new Tape().ok(first, 3, 0, { path: '/a' }).ok(second, 4, 0, { stat: stat(4) })
    expect(check(tape, new Tape().ok(third, 5, -101))).toThrow('gave 0 at zxid 5')
    expect(check(new Tape().ok(first, 3, 0, { path: '/b' }))).toThrow('is no update')
  })

  it('finds a reply that shows less than one before it, and reads that go back', () => {
    expect(check(good().ok(ping, 4))).toThrow('was shown zxid 4 after 5')
    const read = (seen: number, zxid: number, mzxid: number) => {
      const tape = good()
      const sent = tape.ask({ request: exists('/a', false), seen })
      return tape.answer(sent, zxid, 0, { stat: stat(mzxid) })
    }
    expect(check(read(5, 5, 5))).not.toThrow()
    // Its own update before.
    expect(check(read(0, 5, 4))).toThrow('was never so from zxid 5 to 5')
    expect(check(read(6, 5, 5))).toThrow('was read at zxid 5 after 6 was seen')
    expect(check(good().ok(exists('/a', false), 5, -101))).toThrow('was never so')
  })

  it('finds a sync that shows less than others have seen', () => {
    const synced = (floor: number) => {
      const tape = good()
      return tape.answer(tape.ask({ request: { op: OP.sync, path: '/' }, floor }), 5)
    }
    expect(check(synced(5))).not.toThrow()
    expect(check(synced(6))).toThrow('others have seen 6')
  })
})

describe('the checker of ends', () => {
  // The end is at 30 ms of the history's own time.
  const server = { servedFromMs: [0], stood: [], slackMs: 0 }
  const ended = (how: 'expire' | 'close', atMs: number) => {
    const history = historyOf(how)
    const end = history.ends.get(wireSessionId(1))
    if (end !== undefined) history.ends.set(wireSessionId(1), { ...end, atMs })
    return history
  }
  const heard = (sentMs: number) => {
    const tape = new Tape()
    return sessionOf(tape.answer(tape.ask({ request: ping, sentMs }), 2))
  }

  it('passes a session that ran out a timeout after it was heard of, and finds one that did so before', () => {
    expect(checkEnd(ended('expire', 1_500), heard(500), server)).toBe(true)
    expect(() => checkEnd(ended('expire', 1_400), heard(500), server)).toThrow('ran out after 900 ms instead of 1000')
  })

  it('counts no time in which the server stood still, or was not there', () => {
    const stood = { ...server, stood: [{ fromMs: 600, toMs: 900 }] }
    expect(() => checkEnd(ended('expire', 1_500), heard(500), stood)).toThrow('after 700 ms')
    expect(checkEnd(ended('expire', 1_800), heard(500), stood)).toBe(true)
    expect(() => checkEnd(ended('expire', 1_500), heard(500), { ...server, servedFromMs: [0, 800] })).toThrow('700 ms')
  })

  it('finds a session that nobody closed, and a client that was told of an end that was none', () => {
    expect(() => checkEnd(ended('close', 100), heard(0), server)).toThrow('not by its client')
    const told = { ...heard(0), toldGoneMs: 50 }
    expect(() => checkEnd(historyOf(), told, server)).toThrow('its client was told it is not')
    expect(checkEnd(historyOf(), heard(0), server)).toBe(false)
  })
})
