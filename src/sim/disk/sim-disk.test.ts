import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { diskConformance } from '../../runtime/disk.conformance.ts'
import type { Disk } from '../../runtime/disk.ts'
import { faultsWith } from '../faults.ts'
import type { SimServer } from '../sim-server.ts'
import { type Simulation, simulate, Simulation as World } from '../simulation.ts'

diskConformance('SimDisk', { describe, it, expect, beforeEach, afterEach }, async () => {
  const world = new World({ seed: 1 })
  const stop = world.runFreely()
  const { disk } = world.server('a').boot()
  await disk.makeDir('root')
  return { disk, root: 'root', close: async () => stop() }
})

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed)

/** Runs `body` under many seeds on one machine and collects what it answers. */
async function acrossSeeds<T>(body: (server: SimServer, world: Simulation) => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  for (const seed of SEEDS) answers.push(await simulate({ seed }, (world) => body(world.server('a'), world)))
  return answers
}

describe('a crash of a simulated machine', () => {
  it('keeps every synced byte under every synced name', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'f', 'safe')
      await disk.syncDir('/')
      server.crash()
      return read(server.boot().disk, 'f')
    })
    expect(new Set(answers)).toEqual(new Set(['safe']))
  })

  it('keeps, loses or tears unsynced bytes at whole sectors', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'f', 'a'.repeat(2048))
      await disk.syncDir('/')
      const file = await disk.open('f', 'update')
      await file.write(Buffer.alloc(2048, 'b'), 0)
      server.crash()
      const text = await read(server.boot().disk, 'f')
      return [0, 512, 1024, 1536].map((at) => new Set(text.slice(at, at + 512)))
    })
    for (const sectors of answers) for (const letters of sectors) expect(letters.size).toBe(1)
    const forms = new Set(answers.map((sectors) => sectors.map((letters) => [...letters].join('')).join('')))
    expect(forms).toContain('aaaa')
    expect(forms).toContain('bbbb')
    expect(forms.size).toBeGreaterThan(5)
  })

  it('may keep a sector in any version that it had since the last sync', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'f', '....')
      await disk.syncDir('/')
      const file = await disk.open('f', 'update')
      for (const [at, letter] of ['1', '2', '3'].entries()) await file.write(Buffer.from(letter), at)
      server.crash()
      return read(server.boot().disk, 'f')
    })
    expect(new Set(answers)).toEqual(new Set(['....', '1...', '12..', '123.']))
  })

  it('keeps or loses an unsynced size, and shows only zeros where bytes were lost', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'f', '')
      await disk.syncDir('/')
      const file = await disk.open('f', 'update')
      await file.write(Buffer.alloc(1024, 'x'), 0)
      server.crash()
      return read(server.boot().disk, 'f')
    })
    expect(new Set(answers.map((text) => text.length))).toEqual(new Set([0, 1024]))
    expect(new Set(answers.join(''))).toEqual(new Set(['x', '\0']))
  })

  it('covers with a sync only the writes that were complete before it', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      const file = await disk.open('f', 'create')
      await disk.syncDir('/')
      await file.write(Buffer.from('1'), 0)
      const sync = file.sync()
      await file.write(Buffer.from('2'), 512)
      await sync
      server.crash()
      return (await read(server.boot().disk, 'f')).replaceAll('\0', '')
    })
    for (const text of answers) expect(text.startsWith('1')).toBe(true)
    expect(new Set(answers)).toEqual(new Set(['1', '12']))
  })

  it('keeps or loses a file whose name was not synced, and a rename as a whole', async () => {
    const created = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'new', 'x')
      server.crash()
      return server.boot().disk.exists('new')
    })
    expect(new Set(created)).toEqual(new Set([true, false]))

    const renamed = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await writeAndSync(disk, 'f', 'old')
      await disk.syncDir('/')
      await writeAndSync(disk, 'f.new', 'new')
      await disk.syncDir('/')
      await disk.rename('f.new', 'f')
      server.crash()
      const after = server.boot().disk
      return `${await namesOn(after)}: ${await read(after, 'f')}`
    })
    expect(new Set(renamed)).toEqual(new Set(['f: new', 'f,f.new: old']))
  })

  it('keeps or loses the rename of a directory as a whole, with all that it holds', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await disk.makeDir('a')
      await writeAndSync(disk, 'a/f', 'x')
      await disk.syncDir('a')
      await disk.syncDir('/')
      await disk.rename('a', 'b')
      server.crash()
      const after = server.boot().disk
      const [name] = await after.list('/')
      return `${await namesOn(after)}: ${await read(after, `${name}/f`)}`
    })
    expect(new Set(answers)).toEqual(new Set(['a: x', 'b: x']))
  })

  it('loses a whole directory whose own name was not synced, whatever was synced in it', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      await disk.makeDir('d')
      await writeAndSync(disk, 'd/f', 'x')
      await disk.syncDir('d')
      server.crash()
      return server.boot().disk.exists('d/f')
    })
    expect(new Set(answers)).toEqual(new Set([true, false]))
  })

  it('rejects what was under way and every later call of the dead process, without any effect', async () => {
    await acrossSeeds(async (server) => {
      const old = server.boot().disk
      const file = await old.open('f', 'create')
      await old.syncDir('/')
      await file.write(Buffer.from('a'), 0)
      await file.sync()
      const underWay = file.sync()
      server.crash()
      await expect(underWay).rejects.toMatchObject({ code: 'IO_ERROR' })
      const { disk } = server.boot()
      await expect(file.write(Buffer.from('b'), 0)).rejects.toMatchObject({ code: 'IO_ERROR' })
      await expect(old.remove('f')).rejects.toMatchObject({ code: 'IO_ERROR' })
      await file.close()
      expect(await read(disk, 'f')).toBe('a')
    })
  })

  it('ends the locks of the dead process', async () => {
    await acrossSeeds(async (server) => {
      const held = await server.boot().disk.lock('LOCK')
      expect(held).toBeDefined()
      server.crash()
      expect(await server.boot().disk.lock('LOCK')).toBeDefined()
      await expect(held?.release()).rejects.toMatchObject({ code: 'IO_ERROR' })
      expect(await server.runtime.disk.lock('LOCK')).toBeUndefined()
    })
  })
})

describe('the kill of a simulated process', () => {
  it('keeps what was written, and leaves it at the mercy of a later crash', async () => {
    const answers = await acrossSeeds(async (server) => {
      const { disk } = server.boot()
      const file = await disk.open('f', 'create')
      await disk.syncDir('/')
      await file.write(Buffer.from('x'), 0)
      server.kill()
      expect(await read(server.boot().disk, 'f')).toBe('x')
      server.crash()
      return read(server.boot().disk, 'f')
    })
    expect(new Set(answers)).toEqual(new Set(['x', '', '\0']))
  })
})

describe('a failing simulated disk', () => {
  it('refuses writes when full, and takes them again when there is space', async () => {
    await simulate({ seed: 1, faults: faultsWith({ disk: { capacityBytes: 64 * 1024 } }) }, async (world) => {
      const { disk } = world.server('a').boot()
      await writeAndSync(disk, 'a', 'x'.repeat(40 * 1024))
      expect(await disk.freeBytes('/')).toBe(24 * 1024)
      const file = await disk.open('b', 'create')
      await expect(file.write(new Uint8Array(30 * 1024), 0)).rejects.toMatchObject({ code: 'DISK_FULL' })
      expect(world.counters.get('disk full')).toBe(1)
      await disk.remove('a')
      await file.write(new Uint8Array(30 * 1024), 0)
    })
  })

  it('forgets after a failed sync what was not synced: the next sync does not bring it back', async () => {
    const answers = await acrossSeeds(async (server, world) => {
      const { disk } = server.boot()
      const file = await disk.open('f', 'create')
      await disk.syncDir('/')
      const calm = world.faults
      await file.write(Buffer.from('x'), 0)
      world.faults = faultsWith({ disk: { syncFailureProbability: 1 } })
      await expect(file.sync()).rejects.toMatchObject({ code: 'IO_ERROR' })
      world.faults = calm
      await file.sync()
      expect(await read(disk, 'f')).toBe('x')
      server.crash()
      return (await read(server.boot().disk, 'f')) === 'x'
    })
    expect(new Set(answers)).toEqual(new Set([true, false]))
  })

  it('carries the planted disk bugs', async () => {
    for (const planted of ['no-sync', 'no-dir-sync'] as const) {
      const kept = new Set<boolean>()
      for (const seed of SEEDS) {
        await simulate({ seed, planted }, async (world) => {
          const server = world.server('a')
          const { disk } = server.boot()
          await writeAndSync(disk, 'f', 'x')
          await disk.syncDir('/')
          server.crash()
          const after = server.boot().disk
          kept.add((await after.exists('f')) && (await read(after, 'f')) === 'x')
        })
      }
      expect(kept).toContain(false)
    }
  })
})

async function writeAndSync(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, 'create')
  await file.write(Buffer.from(text), 0)
  await file.sync()
  await file.close()
}

async function read(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, 'read')
  const into = Buffer.alloc(await file.size())
  await file.read(into, 0)
  await file.close()
  return into.toString()
}

async function namesOn(disk: Disk): Promise<string> {
  return (await disk.list('/')).join()
}
