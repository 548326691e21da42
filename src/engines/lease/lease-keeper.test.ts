import { describe, expect, it } from 'vitest'
import { MapTx } from '../../../test/support/view-cluster.ts'
import type { Completion } from '../../engine/engine.ts'
import type { LogPos } from '../../log/position.ts'
import { ManualTime } from '../../store/manual-time.ts'
import type { LeaseHeader } from './lease-codec.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { LeaseRecord } from './lease-record.ts'

const DURATION_MS = 1_200
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The keeper of server `a`, whose entries are applied one by one, when the test says so. */
function withKeeper(address: string | (() => string) = 'a') {
  const time = new ManualTime((callback) => void setImmediate(callback))
  const record = new LeaseRecord('lease\x00')
  const tx = new MapTx()
  const sent: { readonly header: LeaseHeader; readonly completion: Completion<unknown> }[] = []
  let position = 10
  const keeper = new LeaseKeeper({
    durationMs: DURATION_MS,
    marginMs: 200,
    usableMs: DURATION_MS - 200,
    wants: true,
    address,
    serverId: 'a',
    clock: time,
    timers: time,
    record,
    propose: (header, completion) => void sent.push({ header, completion }),
    applied: () => position as LogPos,
    heldBack: (limit) => record.heldBack(tx, limit).slice(0, limit),
  })
  /** Applies the oldest entry that was sent and not applied, and says which. */
  const applyNext = async (): Promise<LeaseHeader['kind'] | undefined> => {
    const next = sent.shift()
    if (next === undefined) return undefined
    const { completion, header } = next
    const pos = position++ as LogPos
    if (header.kind === 'take') completion.resolve(record.take(tx, header, pos) ? pos : false)
    else if (header.kind === 'renew') completion.resolve(record.renew(tx, header.epoch, header.applied, pos))
    else if (header.kind === 'release') completion.resolve(record.release(tx, header.epoch))
    else if (header.kind === 'fire') completion.resolve(record.takeHeldBack(tx, header.epoch, header))
    await turn()
    return header.kind
  }
  const holdBack = (index: number): void => record.holdBack(tx, 5 as LogPos, index, Buffer.from('fired'))
  return { applyNext, holdBack, keeper, record, time, tx }
}

describe('the keeper of a lease', () => {
  it('does not read by a lease that it gives up, though a renewal that was on its way comes back', async () => {
    const { applyNext, keeper, time } = withKeeper()
    keeper.start()
    expect(await applyNext()).toBe('take')
    expect(keeper.isUsable).toBe(true)
    time.advance(500)
    const released = keeper.release()
    expect(keeper.isUsable).toBe(false)
    expect(await applyNext()).toBe('renew')
    // Another server may have applied the release by now, and changed what this one would read.
    expect(keeper.isUsable).toBe(false)
    expect(await applyNext()).toBe('release')
    await released
    expect(keeper.epoch).toBe(0)
  })

  it('takes the lease anew as soon as clients reach it elsewhere', async () => {
    let address = ''
    const { applyNext, keeper, record, time } = withKeeper(() => address)
    keeper.start()
    expect(await applyNext()).toBe('take')
    expect(record.state.address).toBe('')
    address = 'zk1.example:40123'
    time.advance(DURATION_MS / 12)
    expect(await applyNext()).toBe('take')
    expect(record.state.address).toBe('zk1.example:40123')
    expect(keeper.isUsable).toBe(true)
    time.advance(DURATION_MS / 12)
    expect(await applyNext()).toBeUndefined()
  })

  it('lets through what was held back, one handful after the other, without waiting for the clock', async () => {
    const { applyNext, holdBack, keeper, record } = withKeeper()
    for (let i = 0; i < 100; i++) holdBack(i)
    keeper.start()
    let fires = 0
    for (let kind = await applyNext(); kind !== undefined; kind = await applyNext()) fires += Number(kind === 'fire')
    expect(record.heldBackCount).toBe(0)
    expect(fires).toBe(100)
  })

  it('lets nothing through under the lease of its former life, nor asks for it again and again', async () => {
    const { applyNext, holdBack, keeper, record, tx } = withKeeper()
    record.take(
      tx,
      { serverId: 'a', address: 'a', durationMs: DURATION_MS, replaces: 0, heardAt: 0, kind: 'take' },
      5 as LogPos,
    )
    holdBack(1)
    keeper.start()
    const kinds: unknown[] = []
    for (let kind = await applyNext(); kind !== undefined; kind = await applyNext()) kinds.push(kind)
    expect(kinds).toEqual(['take', 'fire'])
    expect(record.heldBackCount).toBe(0)
  })

  it('gives up what it is about to take', async () => {
    const { applyNext, keeper, record } = withKeeper()
    keeper.start()
    const released = keeper.release()
    expect(await applyNext()).toBe('take')
    expect(keeper.isUsable).toBe(false)
    expect(await applyNext()).toBe('release')
    await released
    expect(record.state.held).toBe(false)
  })

  it('stays away from a spoilt epoch, also when an update of an earlier one turns out to be lost later', async () => {
    const { applyNext, keeper } = withKeeper()
    keeper.start()
    await applyNext()
    const first = keeper.epoch
    keeper.spoil(first)
    const taking = keeper.take()
    expect(await applyNext()).toBe('take')
    expect(await taking).toBe(true)
    expect(keeper.epoch).toBeGreaterThan(first)
    expect(keeper.isUsable).toBe(true)
    keeper.spoil(keeper.epoch)
    keeper.spoil(first)
    expect(keeper.isUsable).toBe(false)
  })
})
