// Timers of very many sessions and nodes that are switched on.

import { describe, expect, it } from 'vitest'
import { OPEN, ZelosHarness } from '../../test/support/zelos-harness.ts'
import { ManualTime } from '../store/manual-time.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import type { UpdateOperation } from './requests.ts'
import { PIECE_TIMERS } from './timers-anew.ts'
import { ANEW_KEY } from './tree/key-space.ts'
import { ZCODE } from './znode.ts'

const NODES = 2 * PIECE_TIMERS
const SESSIONS = 3
const PIECE_MS = 50
const LOOK_MS = 1_000

function server() {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  const harness = new ZelosHarness(openMemoryStore({ runtime: { clock: time, timers: time, random } }), {
    timers: false,
  })
  const [alice] = Array.from({ length: SESSIONS }, () => harness.client(600_000))
  const operations = Array.from({ length: NODES }, (_, at): UpdateOperation => {
    const path = `/n${String(at).padStart(5, '0')}`
    return { op: 'create', path, data: null, acl: OPEN, flags: 0, lifetime: { kind: 'ttl', ms: 20_000 } }
  })
  if (alice === undefined) throw new Error('nobody')
  alice.multi(...operations)
  const change = (enabled: boolean): void => void harness.timer.proposeChange({ kind: 'flag', enabled })
  const armed = (): unknown => harness.timer.details().timers
  const isDone = (): boolean => harness.store.read().get(ANEW_KEY) === undefined
  return { harness, alice, change, armed, isDone }
}

describe('timers that are switched on where there are very many', () => {
  it('are armed a piece an update, sessions first, until all are; then everything ends in its time', () => {
    const { harness, alice, change, armed, isDone } = server()
    change(true)
    expect([armed(), isDone()]).toEqual([PIECE_TIMERS, false])
    harness.pass(LOOK_MS)
    harness.pass(3 * PIECE_MS)
    expect([armed(), isDone()]).toEqual([NODES + SESSIONS, true])
    harness.pass(25_000)
    expect(armed()).toBe(SESSIONS)
    expect(harness.zelos.exists(alice.requester, '/n00000', undefined)).toBe(ZCODE.NO_NODE)
    expect(harness.zelos.exists(alice.requester, `/n0${NODES - 1}`, undefined)).toBe(ZCODE.NO_NODE)
  })

  it('and off again meanwhile are not armed any further', () => {
    const { harness, change, armed, isDone } = server()
    change(true)
    change(false)
    expect([armed(), isDone()]).toEqual([0, true])
    harness.pass(LOOK_MS)
    expect(armed()).toBe(0)
    change(true)
    expect([armed(), isDone()]).toEqual([PIECE_TIMERS, false])
  })

  it('are armed for what is gone or new meanwhile as if it had been so before', () => {
    const { harness, alice, change, armed, isDone } = server()
    change(true)
    alice.delete(`/n0${NODES - 1}`)
    alice.write({ op: 'create', path: '/zz', data: null, acl: OPEN, flags: 0, lifetime: { kind: 'ttl', ms: 20_000 } })
    harness.client(600_000)
    harness.pass(LOOK_MS)
    harness.pass(3 * PIECE_MS)
    expect([armed(), isDone()]).toEqual([NODES + SESSIONS + 1, true])
  })
})
