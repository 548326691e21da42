import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { DelosError } from '../../base/delos-error.ts'
import { metastoreConformance } from '../../log/metastore.conformance.ts'
import type { Disk } from '../../runtime/disk.ts'
import { NodeDisk } from '../../runtime/node-disk.ts'
import { faultsWith } from '../../sim/faults.ts'
import type { SimRuntime } from '../../sim/sim-server.ts'
import { simulate } from '../../sim/simulation.ts'
import { FileMetaStore } from './file-metastore.ts'

const framework = { describe, it, expect }

async function openOn({ disk }: SimRuntime): Promise<FileMetaStore> {
  await disk.makeDir('meta')
  await disk.syncDir('.')
  return FileMetaStore.open('meta', disk)
}

metastoreConformance('file on a simulated disk', framework, (body) =>
  simulate({ seed: 1 }, async (world) => {
    const server = world.server('a')
    const store = await openOn(server.boot())
    const crash = () => {
      server.crash()
      return openOn(server.boot())
    }
    await body({ store, unreliable: false, crash })
  }),
)

metastoreConformance('file on this disk', framework, async (body) => {
  const directory = await mkdtemp(join(tmpdir(), 'delos-metastore-'))
  const open = () => FileMetaStore.open(directory, new NodeDisk())
  try {
    await body({ store: await open(), unreliable: false, crash: open })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

describe('the file metastore', () => {
  it('holds an acknowledged value or the one being written after a crash at any moment', async () => {
    let halfWay = 0
    for (let seed = 1; seed <= 60; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        let store = await openOn(server.boot())
        let version = 0
        for (let round = 0; round < 5; round++) {
          await store.write(Buffer.from(`${version + 1}`), version)
          version++
          const writing = store.write(Buffer.from(`${version + 1}`), version).catch(() => undefined)
          await world.sleep(world.random.fraction() * 3)
          server.crash()
          await writing
          store = await openOn(server.boot())
          const read = await store.read()
          expect([version, version + 1]).toContain(read.version)
          expect(Buffer.from(read.value ?? []).toString()).toBe(`${read.version}`)
          if (read.version > version) halfWay++
          version = read.version
        }
      })
    }
    expect(halfWay).toBeGreaterThan(5)
  })

  it('keeps a value that it served, also when only the process had died before', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        const store = await openOn(server.boot())
        const writing = store.write(Buffer.from('a'), 0).catch(() => undefined)
        await world.sleep(world.random.fraction() * 4)
        server.kill()
        await writing
        const served = await (await openOn(server.boot())).read()
        server.crash()
        expect((await (await openOn(server.boot())).read()).version).toBe(served.version)
      })
    }
  })

  it('changes nothing when the temporary file cannot be written', async () => {
    await simulate({ seed: 2 }, async (world) => {
      const store = await openOn(world.server('a').boot())
      await store.write(Buffer.from('a'), 0)
      const calm = world.faults
      world.faults = faultsWith({ disk: { syncFailureProbability: 1 } })
      await expect(store.write(Buffer.from('b'), 1)).rejects.toMatchObject({ code: 'IO_ERROR' })
      expect((await store.read()).version).toBe(1)
      world.faults = calm
      expect(await store.write(Buffer.from('b'), 1)).toEqual({ kind: 'written', version: 2 })
    })
  })

  it('says that it cannot tell when the directory could not be synced, and works no more', async () => {
    await simulate({ seed: 2 }, async (world) => {
      const { disk } = world.server('a').boot()
      await disk.makeDir('meta')
      const failing: Disk = Object.create(disk)
      failing.syncDir = () => Promise.reject(new DelosError('IO_ERROR', 'sync meta'))
      const store = await FileMetaStore.open('meta', failing)
      await expect(store.write(Buffer.from('a'), 0)).rejects.toMatchObject({ code: 'INDETERMINATE' })
      await expect(store.read()).rejects.toMatchObject({ code: 'IO_ERROR' })
      await expect(store.write(Buffer.from('a'), 0)).rejects.toMatchObject({ code: 'IO_ERROR' })
    })
  })

  it('refuses a damaged register, and one of a newer version, and names the file', async () => {
    await simulate({ seed: 3 }, async (world) => {
      const runtime = world.server('a').boot()
      const store = await openOn(runtime)
      await store.write(Buffer.from('value'), 0)
      await store.close()
      const file = await runtime.disk.open('meta/register', 'update')
      await file.write(Buffer.from('X'), 25)
      await expect(openOn(runtime)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining('meta/register'),
      })
      await file.write(Buffer.from('Y'), 0)
      await expect(openOn(runtime)).rejects.toMatchObject({ code: 'FORMAT' })
    })
  })

  it('writes the register as it always did', async () => {
    await simulate({ seed: 4 }, async (world) => {
      const runtime = world.server('a').boot()
      const store = await openOn(runtime)
      await store.write(Buffer.from('first'), 0)
      await store.write(Buffer.from('second'), 1)
      const file = await runtime.disk.open('meta/register', 'read')
      const bytes = Buffer.alloc(await file.size())
      await file.read(bytes, 0)
      expect(bytes.toString('hex')).toBe(readGolden('log/register.hex'))
    })
  })
})
