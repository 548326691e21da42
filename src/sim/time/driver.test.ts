import { describe, expect, it } from 'vitest'
import { Trace } from '../trace.ts'
import { drive, SimulationStuck } from './driver.ts'
import { EventQueue } from './event-queue.ts'

function world() {
  const queue = new EventQueue()
  return { queue, trace: new Trace(() => queue.nowMs) }
}

function at(queue: EventQueue, ms: number): Promise<void> {
  return new Promise((resolve) => {
    queue.schedule(ms, resolve)
  })
}

describe('EventQueue', () => {
  it('runs events by time, and those of one time in order of scheduling', () => {
    const queue = new EventQueue()
    const seen: string[] = []
    const delays = [5, 1, 3, 1, 5, 0, 2, 1]
    delays.forEach((delay, i) => {
      queue.schedule(delay, () => seen.push(`${delay}.${i}`))
    })
    while (queue.runNext());
    expect(seen).toEqual(['0.5', '1.1', '1.3', '1.7', '2.6', '3.2', '5.0', '5.4'])
    expect(queue.nowMs).toBe(5)
  })

  it('agrees with sorting on random schedules with cancellations', () => {
    const queue = new EventQueue()
    const seen: number[] = []
    const expected: [number, number][] = []
    for (let i = 0; i < 5_000; i++) {
      const delay = (i * 7919) % 101
      const event = queue.schedule(delay, () => seen.push(i))
      if (i % 3 === 0) expected.push([delay, i])
      else event.cancel()
    }
    expect(queue.size).toBe(expected.length)
    while (queue.runNext());
    expect(seen).toEqual(expected.sort(([a, i], [b, j]) => a - b || i - j).map(([, i]) => i))
    expect(queue.size).toBe(0)
  })

  it('does not run a cancelled event, and takes a cancellation after the fact', () => {
    const queue = new EventQueue()
    const event = queue.schedule(1, () => expect.unreachable())
    event.cancel()
    event.cancel()
    expect(queue.runNext()).toBe(false)
    const ran = queue.schedule(1, () => undefined)
    queue.runNext()
    ran.cancel()
    expect(queue.size).toBe(0)
  })
})

describe('drive', () => {
  it('drains every promise reaction of an event, however deep, before the next event', async () => {
    const { queue, trace } = world()
    const seen: string[] = []
    const deep = async (name: string, depth: number) => {
      for (let i = 0; i < depth; i++) await null
      await new Promise<void>((resolve) => process.nextTick(resolve))
      for (let i = 0; i < depth; i++) await null
      seen.push(name)
    }
    await drive(queue, trace, async () => {
      for (let i = 0; i < 600; i++) {
        queue.schedule(i, () => {
          seen.push(`event ${i}`)
          void deep(`drained ${i}`, i)
        })
      }
      await at(queue, 1_000)
    })
    expect(seen).toEqual(Array.from({ length: 600 }, (_, i) => [`event ${i}`, `drained ${i}`]).flat())
  })

  it('answers like its body', async () => {
    const { queue, trace } = world()
    await expect(drive(queue, trace, async () => 'done')).resolves.toBe('done')
    await expect(drive(queue, trace, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(
      drive(queue, trace, () => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
  })

  it('fails with what an event threw', async () => {
    const { queue, trace } = world()
    const body = async () => {
      queue.schedule(1, () => {
        throw new Error('in an event')
      })
      await at(queue, 2)
    }
    await expect(drive(queue, trace, body)).rejects.toThrow('in an event')
  })

  it('notices that nothing is left to happen', async () => {
    const { queue, trace } = world()
    await expect(drive(queue, trace, () => new Promise(() => undefined))).rejects.toThrow(SimulationStuck)
  })

  it('gives up at its limits', async () => {
    const { queue, trace } = world()
    const forever = async () => {
      for (;;) await at(queue, 1)
    }
    await expect(drive(queue, trace, forever, { eventsMax: 1_000 })).rejects.toThrow('1000 events')
    await expect(drive(queue, trace, forever, { virtualMsMax: 5_000 })).rejects.toThrow(/virtual ms/)
  })

  it('runs a body that starts where another ended', async () => {
    const { queue, trace } = world()
    await drive(queue, trace, () => at(queue, 5))
    await drive(queue, trace, () => at(queue, 5))
    expect(queue.nowMs).toBe(10)
  })
})
