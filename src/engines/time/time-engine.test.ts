// The failure cases of replicated timers, one test each, on one and on three servers in virtual time.

import { describe, expect, it } from 'vitest'
import { AlarmLog, AlarmServer } from '../../../test/support/alarm-server.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { faultsWith } from '../../sim/faults.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { TIME_OPTIONS, TimeEngine, type TimeOptions, timeEngine } from './time-engine.ts'

const TICK_MS = 100
/** How late a timer may fire that nothing disturbs: two ticks and some turns through the log. */
const LATE_MS = 2 * TICK_MS + 20

interface Setting {
  readonly names?: readonly string[]
  readonly time?: EngineFactory
  readonly options?: Partial<TimeOptions>
  readonly driftPpmMax?: number
  readonly keepsLog?: boolean
  readonly enabled?: boolean
}

type Servers = [AlarmServer, AlarmServer, AlarmServer]

function during(setting: Setting, body: (servers: Servers, world: Simulation) => Promise<void>): Promise<void> {
  const { names = ['a'], options, driftPpmMax = 0, keepsLog = true, enabled = true } = setting
  const time = setting.time ?? timeEngine({ tickMs: TICK_MS, ...options })
  return simulate({ seed: 7, faults: faultsWith({ clock: { driftPpmMax } }) }, async (world) => {
    const log = new AlarmLog()
    const servers = names.map((name) => new AlarmServer({ world, name, log, members: names, time, keepsLog }))
    await Promise.all(servers.map((server) => server.start()))
    if (enabled) {
      await servers[0]?.stack.enable()
      await Promise.all(servers.map((server) => server.stack.sync()))
      await world.sleep(700)
      for (const server of servers) server.alarms.rang.length = 0
    }
    await body(servers as Servers, world)
  })
}

const three = { names: ['a', 'b', 'c'] }
const texts = (server: AlarmServer): string[] => server.rang.map(({ text }) => text)
const last = (server: AlarmServer) => server.rang.at(-1)

describe('a timer on one server', () => {
  it('fires once, not before its delay and soon after it, as an entry with the payload that it was armed with', () =>
    during({}, async ([a], world) => {
      const armedMs = world.queue.nowMs
      await a.tell({ do: 'arm', id: 'x', ms: 1000, text: 'wake up' })
      await world.sleep(10_000)
      expect(texts(a)).toEqual(['wake up'])
      expect(last(a)?.atMs).toBeGreaterThanOrEqual(armedMs + 1000)
      expect(last(a)?.atMs).toBeLessThan(armedMs + 1000 + LATE_MS)
      expect(a.stack.layer('time')?.details()).toMatchObject({ timers: 0 })
    }))

  it('does not fire once it is cancelled', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await world.sleep(900)
      await a.tell({ do: 'cancel', id: 'x' })
      await a.tell({ do: 'cancel', id: 'never armed' })
      await world.sleep(5000)
      expect(texts(a)).toEqual([])
    }))

  it('that is armed anew counts from then, with its new delay, shorter or longer', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await a.tell({ do: 'arm', id: 'y', ms: 60_000 })
      await world.sleep(900)
      await a.tell({ do: 'arm', id: 'x', ms: 2000, text: 'later' })
      await a.tell({ do: 'arm', id: 'y', ms: 500, text: 'sooner' })
      await world.sleep(500 + LATE_MS)
      expect(texts(a)).toEqual(['sooner'])
      await world.sleep(1400 - LATE_MS)
      expect(texts(a)).toEqual(['sooner'])
      await world.sleep(100 + LATE_MS)
      expect(texts(a)).toEqual(['sooner', 'later'])
      await world.sleep(60_000)
      expect(texts(a)).toHaveLength(2)
    }))

  it('that was armed in an attempt that was taken back is not there', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await a.tell({ do: 'try', id: 'x', ms: 5000 })
      await a.tell({ do: 'try', id: 'y', ms: 100 })
      await world.sleep(1000 + LATE_MS)
      expect(texts(a)).toEqual(['x'])
      await world.sleep(5000)
      expect(texts(a)).toEqual(['x'])
    }))

  it('that is restarted again and again fires only after the last restart: a restart only lengthens', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      for (let i = 0; i < 20; i++) {
        await world.sleep(900)
        a.stack.timerService?.restart('x')
        a.stack.timerService?.restart('unknown')
      }
      expect(texts(a)).toEqual([])
      const restartedMs = world.queue.nowMs
      await world.sleep(1000 + LATE_MS)
      expect(texts(a)).toEqual(['x'])
      expect(last(a)?.atMs).toBeGreaterThanOrEqual(restartedMs + 1000)
    }))

  it('has its full delay again after a restart of the process', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 5000 })
      await world.sleep(4900)
      await a.stop()
      await a.start()
      const startedMs = world.queue.nowMs
      await world.sleep(4900)
      expect(texts(a)).toEqual([])
      await world.sleep(100 + LATE_MS)
      expect(last(a)?.atMs).toBeGreaterThanOrEqual(startedMs + 5000)
    }))

  it('does not notice that somebody sets the wall clock', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 2000 })
      world.server('a').runtime.clock.jumpWallMs(86_400_000)
      await world.sleep(1000)
      world.server('a').runtime.clock.jumpWallMs(-2 * 86_400_000)
      await world.sleep(900)
      expect(texts(a)).toEqual([])
      await world.sleep(100 + LATE_MS)
      expect(texts(a)).toEqual(['x'])
    }))

  it('starts again when the process stood still: what it did not measure does not count', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 3000 })
      await world.sleep(2900)
      a.standStill()
      await world.sleep(60_000)
      a.goOn()
      await world.sleep(2900)
      expect(texts(a)).toEqual([])
      await world.sleep(100 + LATE_MS)
      expect(texts(a)).toEqual(['x'])
    }))

  it('does not count by what a busy event loop comes late, tick by tick', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 2000 })
      for (let i = 0; i < 15; i++) {
        a.standStill()
        await world.sleep(900)
        a.goOn()
        await world.sleep(1)
      }
      expect(texts(a)).toEqual([])
    }))

  it('is deleted when the engine is disabled, and the layer above hears of both switches in apply', () =>
    during({ enabled: false }, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'too early', ms: 100 })
      await a.stack.enable()
      await a.stack.enable()
      await a.stack.change('time', { kind: 'flag', enabled: true })
      expect(a.alarms.switches).toEqual([true])
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await a.stack.change('time', { kind: 'flag', enabled: false })
      await a.tell({ do: 'arm', id: 'y', ms: 1000 })
      expect(a.content().filter((row) => row.startsWith('"time'))).toHaveLength(1)
      await world.sleep(5000)
      expect([a.alarms.switches, texts(a)]).toEqual([[true, false], []])
      expect(a.stack.status().alarms).toEqual(['time: is disabled: no timer fires, and sessions do not expire'])
      await a.stack.change('time', { kind: 'flag', enabled: true })
      await world.sleep(5000)
      expect(a.stack.status().alarms).toEqual([])
      expect(texts(a)).toEqual(['switched on'])
    }))
})

describe('a log that fails', () => {
  it('and is away for a while does not make everything fire at once: all have their full delay after it', () =>
    during({}, async ([a], world) => {
      for (let i = 0; i < 50; i++) await a.tell({ do: 'arm', id: `t${i}`, ms: 2000 + 10 * i })
      await world.sleep(1500)
      a.weather = 'away'
      await world.sleep(8000)
      a.clear()
      await world.sleep(1800)
      expect(texts(a)).toEqual([])
      await world.sleep(3000)
      expect(texts(a)).toHaveLength(50)
    }))

  it('and is away again and again fires nothing', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 4000 })
      for (let i = 0; i < 5; i++) {
        await world.sleep(3900)
        a.weather = 'away'
        await world.sleep(3000)
        a.clear()
      }
      expect(texts(a)).toEqual([])
      await world.sleep(5000)
      expect(texts(a)).toEqual(['x'])
    }))

  it('and refuses votes gives everybody the full delay again, and they are tried again', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await a.tell({ do: 'arm', id: 'y', ms: 1900 })
      a.weather = 'refuses'
      await world.sleep(30_000)
      a.clear()
      await world.sleep(500)
      expect(texts(a)).toEqual([])
      await world.sleep(3000)
      expect(texts(a).sort()).toEqual(['x', 'y'])
    }))

  it('and loses a vote without telling gets another', () =>
    during({}, async ([a], world) => {
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await world.sleep(900)
      a.weather = 'loses'
      await world.sleep(2000)
      a.clear()
      expect(texts(a)).toEqual([])
      await world.sleep(10_000)
      expect(texts(a)).toEqual(['x'])
    }))
})

describe('a timer on three servers', () => {
  it('fires at one position everywhere, and leaves equal content', () =>
    during(three, async (servers, world) => {
      const [a, b, c] = servers
      for (let i = 0; i < 40; i++) await servers[i % 3]?.tell({ do: 'arm', id: `t${i}`, ms: 500 + 37 * i })
      await world.sleep(5000)
      const fired = servers.map(({ rang }) => rang.map(({ text, pos, index }) => `${text} ${pos} ${index}`))
      expect(fired[0]).toHaveLength(40)
      expect(new Set(fired[0]).size).toBe(40)
      expect(fired[1]).toEqual(fired[0])
      expect(fired[2]).toEqual(fired[0])
      expect(b.content()).toEqual(a.content())
      expect(c.content()).toEqual(a.content())
    }))

  it('needs the votes of a majority', () =>
    during(three, async ([a, b, c], world) => {
      await b.stop()
      await c.stop()
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await world.sleep(20_000)
      expect(texts(a)).toEqual([])
      await b.start()
      const startedMs = world.queue.nowMs
      await world.sleep(900)
      expect(texts(b)).toEqual([])
      await world.sleep(100 + LATE_MS)
      expect(texts(b)).toEqual(['x'])
      expect(last(b)?.atMs).toBeGreaterThanOrEqual(startedMs + 1000)
      expect(texts(a)).toEqual(['x'])
    }))

  it('needs a majority of the current view: who has left does not count any more, though it voted', () =>
    during({ names: ['a', 'b', 'c', 'd', 'e'] }, async ([a, b, c, ...others], world) => {
      for (const server of others as AlarmServer[]) await server.stop()
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await c.stop()
      await world.sleep(2000)
      // Two votes of five. b leaves: of a, c and d only a has voted.
      await a.tell({ do: 'view', members: ['a', 'c', 'd'] })
      await b.stop()
      await world.sleep(60_000)
      expect(texts(a)).toEqual([])
      await c.start()
      await world.sleep(1000 + LATE_MS)
      expect(texts(a)).toEqual(['x'])
    }))

  it('fires by the next vote when the view has shrunk to those who have voted', () =>
    during(three, async ([a, b, c], world) => {
      await b.stop()
      await c.stop()
      await a.tell({ do: 'arm', id: 'x', ms: 1000 })
      await world.sleep(2000)
      await a.tell({ do: 'view', members: ['a'] })
      await world.sleep(30_000)
      expect(texts(a)).toEqual(['x'])
    }))

  it('is not fired by the vote of a server that is not in the view', () =>
    during(three, async ([a, b, c], world) => {
      await b.stop()
      await c.stop()
      const generation = Number(await a.tell({ do: 'arm', id: 'x', ms: 5000 }))
      await a.forge({ kind: 'vote', serverId: 'stranger', generation, id: 'x' })
      await a.forge({ kind: 'vote', serverId: 'b', generation, id: 'x' })
      await a.forge({ kind: 'vote', serverId: 'b', generation, id: 'x' })
      await world.sleep(100)
      expect(texts(a)).toEqual([])
      await a.forge({ kind: 'vote', serverId: 'c', generation, id: 'x' })
      expect(texts(a)).toEqual(['x'])
    }))

  it('is not restarted at the others by a restart at one, and outlives them by being armed anew', () =>
    during(three, async ([a, b], world) => {
      await a.tell({ do: 'arm', id: 'soft', ms: 2000 })
      await a.tell({ do: 'arm', id: 'renewed', ms: 2000 })
      for (let i = 0; i < 12; i++) {
        await world.sleep(500)
        a.stack.timerService?.restart('soft')
        a.stack.timerService?.restart('renewed')
        if (i % 2 === 0) await a.tell({ do: 'arm', id: 'renewed', ms: 2000 })
      }
      expect(texts(a)).toEqual(['soft'])
      await world.sleep(3000)
      expect(texts(b)).toEqual(['soft', 'renewed'])
    }))

  it('fires no earlier than a majority has measured, though their clocks drift', () =>
    during({ ...three, driftPpmMax: 50_000 }, async ([a], world) => {
      const armedMs = world.queue.nowMs
      await a.tell({ do: 'arm', id: 'x', ms: 20_000 })
      await world.sleep(30_000)
      // What each clock calls 20 s, in true time: the second vote is decisive.
      const due = ['a', 'b', 'c']
        .map((name) => world.server(name).runtime.clock.virtualMs(20_000))
        .sort((x, y) => x - y)
      expect(due[1]).not.toBe(due[0])
      expect((last(a)?.atMs as number) - armedMs).toBeGreaterThanOrEqual(due[1] as number)
      expect((last(a)?.atMs as number) - armedMs).toBeLessThan((due[1] as number) * 1.001 + LATE_MS)
    }))

  /** Votes for an arming that is over arrive late, of all servers. */
  async function staleVotes([a, b, c]: Servers, world: Simulation): Promise<void> {
    const generation = Number(await a.tell({ do: 'arm', id: 'x', ms: 1000 }))
    await world.sleep(500)
    await b.tell({ do: 'arm', id: 'x', ms: 1000 })
    for (const serverId of ['a', 'b', 'c']) await c.forge({ kind: 'vote', serverId, generation, id: 'x' })
    await world.sleep(10)
    expect(texts(a), 'a vote for an arming that is over').toEqual([])
    await world.sleep(1000 + LATE_MS)
    expect(texts(a)).toEqual(['x'])
    for (const serverId of ['a', 'b', 'c']) await c.forge({ kind: 'vote', serverId, generation, id: 'x' })
    expect(texts(a), 'a vote for a timer that is gone').toEqual(['x'])
  }

  it('does not count a vote for an older generation', () => during(three, staleVotes))

  it('is caught when it counts one', async () => {
    class CountsStaleVotes extends TimeEngine {
      protected override isCurrent(): boolean {
        return true
      }
    }
    const time: EngineFactory = {
      ...timeEngine(),
      create: (context) => new CountsStaleVotes(context, { ...TIME_OPTIONS, tickMs: TICK_MS }),
    }
    await expect(during({ ...three, time }, staleVotes)).rejects.toThrow('a vote for an arming that is over')
  })
})

describe('many timers', () => {
  it('that are due at once vote through a bounded window', () =>
    during({ options: { votesInFlightMax: 10 } }, async ([a], world) => {
      for (let i = 0; i < 500; i++) a.tell({ do: 'arm', id: `t${i}`, ms: 1000 }).catch(() => undefined)
      let most = 0
      for (let i = 0; i < 3000; i++) {
        await world.sleep(1)
        most = Math.max(most, a.stack.status().pendingProposals)
      }
      expect(new Set(texts(a)).size).toBe(500)
      expect(most).toBeLessThanOrEqual(10)
    }))
})

describe('the age of the log', () => {
  it('releases only what is older by measured time, and most of that', () =>
    during({ options: { releaseAfterMs: 8000 }, keepsLog: false }, async ([a], world) => {
      const positions: { pos: number; atMs: number }[] = []
      for (let i = 0; i < 100; i++) {
        positions.push({ pos: Number(await a.tell({ do: 'cancel', id: 'nothing' })), atMs: world.queue.nowMs })
        await world.sleep(500)
      }
      const released = a.trims.at(-1) ?? 0
      const youngest = positions.filter(({ pos }) => pos < released).at(-1)?.atMs ?? 0
      expect(world.queue.nowMs - youngest).toBeGreaterThanOrEqual(8000)
      expect(world.queue.nowMs - youngest).toBeLessThan(8000 + 2 * 1000 + 1000)
      expect(texts(a)).toEqual([])
    }))

  it('is held back altogether while the engine is disabled, and that is an alarm', () =>
    during({ options: { releaseAfterMs: 800 }, keepsLog: false }, async ([a], world) => {
      await world.sleep(3000)
      expect(a.trims.length).toBeGreaterThan(0)
      expect(a.stack.status().alarms).toEqual([])
      await a.stack.change('time', { kind: 'flag', enabled: false })
      const { length } = a.trims
      await world.sleep(3000)
      expect(a.trims).toHaveLength(length)
      expect(a.stack.status().alarms).toEqual([
        expect.stringContaining('time: is disabled: no timer fires'),
        expect.stringContaining('none of the log is released'),
      ])
      await a.stack.change('time', { kind: 'flag', enabled: true })
      await world.sleep(3000)
      expect(a.trims.length).toBeGreaterThan(length)
    }))

  it('is nobody\u2019s business by default: what the layer above allows is passed on', () =>
    during({ keepsLog: false }, async ([a]) => {
      expect(a.trims).toEqual([Number.MAX_SAFE_INTEGER])
    }))
})
