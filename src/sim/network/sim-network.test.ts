import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { networkConformance } from '../../runtime/network.conformance.ts'
import type { Connection, ConnectionEvents } from '../../runtime/network.ts'
import { faultsWith } from '../faults.ts'
import { Simulation, simulate } from '../simulation.ts'

networkConformance('SimHost', { describe, it, expect, beforeEach, afterEach }, async () => {
  const world = new Simulation({ seed: 1 })
  const stop = world.runFreely()
  const server = world.server('server').boot()
  const client = world.server('client').boot()
  return {
    network: server.network,
    host: 'server',
    connect: (port, eventsOf) => client.network.connect('server', port, eventsOf),
    close: async () => stop(),
  }
})

function listening(onData: (chunk: Buffer) => void, onClosed: (error: Error | undefined) => void = () => undefined) {
  return (): ConnectionEvents => ({ data: onData, drain: () => undefined, closed: onClosed })
}

describe('the simulated network', () => {
  it('ignores the boundaries of writes: it splits and joins them', async () => {
    const sizes = new Set<number>()
    for (let seed = 0; seed < 20; seed++) {
      await simulate({ seed, faults: faultsWith({ network: { chunkBytesMax: 25 } }) }, async (world) => {
        const server = world.server('server').boot()
        const client = world.server('client').boot()
        let received = 0
        const accept = listening((chunk) => {
          sizes.add(chunk.length)
          received += chunk.length
        })
        await server.network.listen({ host: 'any', port: 7 }, accept)
        const connection = await client.network.connect(
          'server',
          7,
          listening(() => undefined),
        )
        for (let i = 0; i < 20; i++) connection.write(Buffer.alloc(10))
        while (received < 200) await world.sleep(1)
      })
    }
    expect(Math.min(...sizes)).toBeLessThan(10)
    expect(Math.max(...sizes)).toBeGreaterThan(10)
  })

  it('holds what is sent over a cut until that is healed', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const server = world.server('server').boot()
      const client = world.server('client').boot()
      const received: string[] = []
      await server.network.listen(
        { host: 'any', port: 7 },
        listening((chunk) => received.push(chunk.toString())),
      )
      const quiet = listening(() => undefined)
      const connection = await client.network.connect('server', 7, quiet)
      world.network.cut('server', 'client')
      connection.write(Buffer.from('late'))
      await world.sleep(1_000)
      expect(received).toEqual([])
      await expect(client.network.connect('server', 7, quiet)).rejects.toMatchObject({ code: 'IO_ERROR' })
      world.network.heal('client', 'server')
      await world.sleep(1_000)
      expect(received.join('')).toBe('late')
    })
  })

  it('tells the peers of a process that died, and nothing to the dead process', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const server = world.server('server')
      const client = world.server('client').boot()
      const accepted: Connection[] = []
      await server.boot().network.listen({ host: 'any', port: 7 }, (connection) => {
        accepted.push(connection)
        return {
          data: () => expect.unreachable(),
          drain: () => expect.unreachable(),
          closed: () => expect.unreachable(),
        }
      })
      let closed: Error | undefined
      await client.network.connect(
        'server',
        7,
        listening(
          () => expect.unreachable(),
          (error) => {
            closed = error
          },
        ),
      )
      server.kill()
      expect(accepted[0]?.write(Buffer.from('from the grave'))).toBe(false)
      await world.sleep(1_000)
      expect(closed?.message).toContain('reset')
      await expect(
        client.network.connect(
          'server',
          7,
          listening(() => undefined),
        ),
      ).rejects.toMatchObject({ code: 'IO_ERROR' })
    })
  })

  it('resets streams at random when told to', async () => {
    await simulate({ seed: 1, faults: faultsWith({ network: { resetProbability: 0.2 } }) }, async (world) => {
      const server = world.server('server').boot()
      const client = world.server('client').boot()
      let ends = 0
      const end = listening(
        () => undefined,
        (error) => {
          expect(error).toBeDefined()
          ends++
        },
      )
      await server.network.listen({ host: 'any', port: 7 }, end)
      const connection = await client.network.connect('server', 7, end)
      for (let i = 0; i < 100; i++) {
        connection.write(Buffer.alloc(10))
        await world.sleep(5)
      }
      expect(ends).toBe(2)
    })
  })
})

describe('a process that stands still', () => {
  it('hears of its timers, its disk and its streams once it goes on, in order, and of what was cancelled meanwhile never', async () => {
    await simulate({ seed: 3 }, async (world) => {
      const server = world.server('server').boot()
      const client = world.server('client').boot()
      const heard: string[] = []
      await server.network.listen(
        { host: 'any', port: 7 },
        listening(
          (chunk) => heard.push(`data ${chunk}`),
          () => heard.push('closed'),
        ),
      )
      const connection = await client.network.connect(
        'server',
        7,
        listening(() => undefined),
      )
      server.life.standStill()
      const cancelled = server.timers.after(20, () => heard.push('cancelled'))
      server.timers.after(10, () => {
        heard.push('timer')
        cancelled.cancel()
      })
      void server.disk.makeDir('made').then(() => heard.push('disk'))
      connection.write(Buffer.from('x'))
      const late = client.network.connect(
        'server',
        7,
        listening(() => undefined),
      )
      await world.sleep(100)
      expect(heard).toEqual([])
      server.life.goOn()
      await late
      await world.sleep(50)
      expect(heard.sort()).toEqual(['data x', 'disk', 'timer'])
    })
  })

  it('and one that is dead hears of nothing', async () => {
    await simulate({ seed: 4 }, async (world) => {
      const server = world.server('server').boot()
      let heard = 0
      server.timers.after(10, () => heard++)
      server.life.standStill()
      await world.sleep(100)
      world.server('server').kill()
      server.life.goOn()
      await world.sleep(100)
      expect(heard).toBe(0)
    })
  })

  it('a machine that vanishes tells nobody', async () => {
    await simulate({ seed: 5 }, async (world) => {
      const server = world.server('server').boot()
      const client = world.server('client').boot()
      const ends: (Error | undefined)[] = []
      await server.network.listen(
        { host: 'any', port: 7 },
        listening(
          () => undefined,
          (error) => ends.push(error),
        ),
      )
      const connection = await client.network.connect(
        'server',
        7,
        listening(() => undefined),
      )
      connection.vanish()
      await world.sleep(60_000)
      expect(ends).toEqual([])
    })
  })
})
