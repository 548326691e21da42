import { describe, expect, it } from 'vitest'
import { DelosError } from '../../base/delos-error.ts'
import type { Completion, Engine } from '../../engine/engine.ts'
import { entryOf } from '../../engine/entry.ts'
import type { LogPos } from '../../log/position.ts'
import { Filtered } from './epoch-table.ts'
import { SESSION_ORDER_LIMITS } from './order-limits.ts'
import { Sequencer } from './sequencer.ts'

const EPOCH = 7
/** More calls than these within a test are a loop. */
const CALLS_MAX = 100

/** A layer below with room for so many, and a sequencer above it. Its timers never fire: what waits must not need one. */
function narrow(places: number) {
  const inFlight: Completion<unknown>[] = []
  const told: unknown[] = []
  let calls = 0
  const below: Pick<Engine<unknown>, 'propose'> = {
    propose: (entry, completion) => {
      // The `open`: its apply is what counts.
      if (entry.payload === undefined) return
      // An answer would go on for ever, and so would the test.
      if (++calls > CALLS_MAX) return
      if (inFlight.length < places) inFlight.push(completion)
      else completion.reject(new DelosError('OVERLOADED', `room for ${places}`))
    },
  }
  const sequencer = new Sequencer({
    ...SESSION_ORDER_LIMITS,
    name: 'session-order',
    propose: (entry, completion) => below.propose(entry, completion),
    serverId: 'a',
    life: 1,
    timers: { after: () => ({ cancel: () => undefined }), soon: (callback) => queueMicrotask(callback) },
    storedEpoch: () => 0,
    stopDatabase: (error) => expect.unreachable(error.message),
  })
  let accepted = 0
  const answerFirst = (): void => {
    accepted++
    sequencer.accepted(accepted, `result ${accepted}`)
    inFlight.shift()?.resolve(`result ${accepted}`)
  }
  const propose = (i: number): void => {
    sequencer.propose(entryOf(Buffer.from([i])), {
      resolve: (result) => told.push(result),
      reject: (error) => told.push(error.code),
    })
  }
  const room = (now: number): void => {
    places = now
  }
  const open = async (): Promise<void> => {
    sequencer.begin()
    await turn()
    sequencer.opened(EPOCH as LogPos)
    await turn()
  }
  return { sequencer, inFlight, told, answerFirst, propose, open, room, calls: () => calls }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 2 * CALLS_MAX; i++) await Promise.resolve()
}

describe('a sequencer above a layer that has no room', () => {
  it('waits until those in front have come back, and sends the others then, in order', async () => {
    const { answerFirst, calls, inFlight, propose, sequencer, told } = narrow(2)
    sequencer.begin()
    for (let i = 1; i <= 5; i++) propose(i)
    await turn()
    sequencer.opened(EPOCH as LogPos)
    for (let i = 0; i < 5; i++) {
      await turn()
      expect(inFlight.length).toBe(Math.min(2, 5 - i))
      answerFirst()
    }
    expect(calls()).toBeLessThan(CALLS_MAX)
    expect(told).toEqual(results(1, 5))
  })

  it('lets also those wait that come one by one while it is full', async () => {
    const { answerFirst, calls, inFlight, open, propose, told } = narrow(2)
    await open()
    for (let i = 1; i <= 6; i++) {
      propose(i)
      await turn()
    }
    expect([inFlight.length, told]).toEqual([2, []])
    for (let i = 1; i <= 6; i++) {
      answerFirst()
      await turn()
      expect(told).toEqual(results(1, i))
    }
    expect(calls()).toBeLessThan(20)
  })

  it('tells the refusal where nothing is under way that could make room, and takes the next as usual', async () => {
    const { answerFirst, inFlight, open, propose, room, told } = narrow(0)
    await open()
    propose(1)
    await turn()
    expect(told).toEqual(['OVERLOADED'])
    room(1)
    propose(2)
    expect(inFlight.length).toBe(1)
    answerFirst()
    expect(told).toEqual(['OVERLOADED', 'result 1'])
  })

  it('sends again what was lost only when there is room for it', async () => {
    const { answerFirst, calls, inFlight, open, propose, room, told } = narrow(2)
    await open()
    propose(1)
    propose(2)
    room(1)
    inFlight.shift()?.reject(new DelosError('INDETERMINATE', 'lost'))
    await turn()
    expect([inFlight.length, calls()]).toEqual([1, 3])
    // The second overtook the first: dropped, and both are sent again, one after the other.
    inFlight.shift()?.resolve(new Filtered('early'))
    for (let i = 0; i < 2; i++) {
      await turn()
      expect(inFlight.length).toBe(1)
      answerFirst()
    }
    expect(told).toEqual(results(1, 2))
  })

  it('keeps what its copies of a closed epoch leave no room for when it is disabled, and passes it on in order', async () => {
    const { inFlight, open, propose, sequencer, told } = narrow(2)
    await open()
    for (let i = 1; i <= 5; i++) propose(i)
    await turn()
    sequencer.disabled()
    propose(6)
    await turn()
    expect([inFlight.length, told]).toEqual([2, []])
    for (let i = 0; i < 2; i++) inFlight.shift()?.resolve(new Filtered('closed'))
    for (let i = 1; i <= 6; i++) {
      await turn()
      inFlight.shift()?.resolve(`result ${i}`)
    }
    expect(told).toEqual(results(1, 6))
    propose(7)
    inFlight.shift()?.resolve('result 7')
    expect(told).toEqual(results(1, 7))
  })
})

function results(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `result ${from + i}`)
}
