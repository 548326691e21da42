import { describe, expect, it } from 'vitest'
import { simulate } from '../sim/testing.ts'
import { Deadlines } from './deadline.ts'

const LIMIT_MS = 1000

/** Never ends. */
const forever = (): Promise<string> => new Promise(() => undefined)

describe('many waits of one length', () => {
  it('end each at its own time, whatever becomes of those before', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { clock, timers } = world.server('a').boot()
      const deadlines = new Deadlines({ clock, timers }, LIMIT_MS)
      const startMs = clock.monotonicMs()
      const ended: (readonly [string, number])[] = []
      const wait = (name: string, work: Promise<string>): Promise<void> =>
        deadlines
          .limit(work, () => `${name} late`)
          .then((how) => {
            ended.push([how, Math.round((clock.monotonicMs() - startMs) / 100) * 100])
          })
      const all = [wait('a', forever()), wait('b', Promise.resolve('b done'))]
      await world.sleep(300)
      all.push(
        wait('c', forever()),
        wait(
          'd',
          world.sleep(500).then(() => 'd done'),
        ),
      )
      await world.sleep(300)
      all.push(wait('e', forever()))
      await Promise.all(all)
      expect(ended).toEqual([
        ['b done', 0],
        ['d done', 800],
        ['a late', 1000],
        ['c late', 1300],
        ['e late', 1600],
      ])
    })
  })

  it('reject with what is thrown when they are late', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const deadlines = new Deadlines(world.server('a').boot(), LIMIT_MS)
      const waiting = deadlines.limit(forever(), () => {
        throw new Error('too late')
      })
      await expect(waiting).rejects.toThrow('too late')
      await expect(deadlines.limit(Promise.reject(new Error('its own')), () => '')).rejects.toThrow('its own')
    })
  })

  it('keep their deadlines when no more begin, and leave no timer behind', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { clock, timers } = world.server('a').boot()
      let armed = 0
      const counting = {
        ...timers,
        after: (delayMs: number, callback: () => void) => {
          armed++
          const timer = timers.after(delayMs, () => {
            armed--
            callback()
          })
          return {
            cancel: () => {
              armed--
              timer.cancel()
            },
          }
        },
      }
      const one = new Deadlines({ clock, timers: counting }, LIMIT_MS)
      await one.limit(Promise.resolve('done'), () => 'late')
      expect(armed).toBe(1)
      one.close()
      expect(armed).toBe(0)
      const waiting = one.limit(forever(), () => 'late')
      one.close()
      expect(await waiting).toBe('late')
      expect(armed).toBe(0)
    })
  })
})
