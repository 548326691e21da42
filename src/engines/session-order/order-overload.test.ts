import { describe, expect, it } from 'vitest'
import { DelosError } from '../../base/delos-error.ts'
import type { Completion, Engine } from '../../engine/engine.ts'
import { entryOf } from '../../engine/entry.ts'
import type { LogPos } from '../../log/position.ts'
import { SESSION_ORDER_LIMITS } from './order-limits.ts'
import { Sequencer } from './sequencer.ts'

const EPOCH = 7
/** More calls than these within a test are a loop. */
const CALLS_MAX = 100

/** A layer below with room for so many, and a sequencer above it. */
function narrow(room: number) {
  const inFlight: Completion<unknown>[] = []
  let calls = 0
  const below: Pick<Engine<unknown>, 'propose'> = {
    propose: (entry, completion) => {
      // The `open`: its apply is what counts.
      if (entry.payload === undefined) return
      // An answer would go on for ever, and so would the test.
      if (++calls > CALLS_MAX) return
      if (inFlight.length < room) inFlight.push(completion)
      else completion.reject(new DelosError('OVERLOADED', `room for ${room}`))
    },
  }
  const sequencer = new Sequencer({
    ...SESSION_ORDER_LIMITS,
    name: 'session-order',
    below: below as Engine<unknown>,
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
  return { sequencer, inFlight, answerFirst, calls: () => calls }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 2 * CALLS_MAX; i++) await Promise.resolve()
}

describe('a sequencer above a layer that has no room', () => {
  it('waits until those in front have come back, and sends the others then, in order', async () => {
    const { answerFirst, calls, inFlight, sequencer } = narrow(2)
    const told: unknown[] = []
    const reject = (): void => expect.unreachable('there is room for one after the other')
    sequencer.begin()
    for (let i = 1; i <= 5; i++) {
      sequencer.propose(entryOf(Buffer.from([i])), { resolve: (result) => told.push(result), reject })
    }
    await turn()
    sequencer.opened(EPOCH as LogPos)
    for (let i = 0; i < 5; i++) {
      await turn()
      expect(inFlight.length).toBe(Math.min(2, 5 - i))
      answerFirst()
    }
    expect(calls()).toBeLessThan(CALLS_MAX)
    expect(told).toEqual([1, 2, 3, 4, 5].map((i) => `result ${i}`))
  })
})
