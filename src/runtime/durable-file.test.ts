import { describe, expect, it } from 'vitest'
import { simulate } from '../sim/simulation.ts'
import { makeDirDurably } from './durable-file.ts'

describe('makeDirDurably', () => {
  it('makes directories that outlive the machine, also when an earlier process was killed while making them', async () => {
    let found = 0
    for (let seed = 1; seed <= 200; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        const made = makeDirDurably(server.boot().disk, 'a/b/c').catch(() => undefined)
        await world.sleep(world.random.fraction() * 4)
        server.kill()
        await made
        const { disk } = server.boot()
        if (await disk.exists('a/b/c')) found++
        await makeDirDurably(disk, 'a/b/c')
        server.crash()
        expect(await server.boot().disk.exists('a/b/c'), `seed ${seed}`).toBe(true)
      })
    }
    expect(found).toBeGreaterThan(20)
  })
})
