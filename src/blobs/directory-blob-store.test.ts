import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { simulate } from '../sim/simulation.ts'
import { blobStoreConformance } from './blob-store.conformance.ts'
import { DirectoryBlobStore } from './directory-blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import { RetryingBlobStore } from './retrying-blob-store.ts'

const framework = { describe, it, expect }

blobStoreConformance('memory', framework, async (body) => {
  const store = new MemoryBlobStore()
  await body({
    store,
    again: async () => store,
    tamper: async (name, change) => {
      store.blobs.set(name, change(Buffer.from(store.blobs.get(name) as Uint8Array)))
    },
  })
})

blobStoreConformance('directory', framework, async (body) => {
  const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
  try {
    await body({
      store: new DirectoryBlobStore(`${directory}/not/there`, nodeRuntime()),
      again: async () => new DirectoryBlobStore(`${directory}/not/there/`, nodeRuntime()),
      tamper: async (name, change) => {
        const path = `${directory}/not/there/${name}`
        writeFileSync(path, change(readFileSync(path)))
      },
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

it('a call of a store that hangs ends when nobody waits for it any more', async () => {
  const hanging = new MemoryBlobStore()
  hanging.put = () => new Promise(() => undefined)
  const controller = new AbortController()
  const put = new RetryingBlobStore(hanging, nodeRuntime()).put('x.bin', Buffer.from('x'), controller)
  controller.abort()
  await expect(put).rejects.toMatchObject({ code: 'CLOSED' })
})

describe('the directory of blobs', () => {
  it('shows nothing that is half written, and nothing of others', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
    try {
      const store = new DirectoryBlobStore(directory, nodeRuntime())
      await store.put('a/x.bin', Buffer.from('x'))
      writeFileSync(`${directory}/a/y.bin.0123456789abcdef.tmp`, 'half')
      writeFileSync(`${directory}/README`, 'mine')
      mkdirSync(`${directory}/.hidden`)
      expect((await store.list('')).blobs.map(({ name }) => name)).toEqual(['a/x.bin'])
      expect(readdirSync(`${directory}/a`)).toEqual(['x.bin', 'y.bin.0123456789abcdef.tmp'])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('lists in the order of names, not of folders', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
    try {
      const store = new DirectoryBlobStore(directory, nodeRuntime())
      const names = ['a/x.bin', 'a-b/x.bin', 'a.bin', 'a0/x.bin', 'a/y/1.bin'].sort()
      for (const name of names) await store.put(name, Buffer.from(name))
      expect((await store.list('')).blobs.map(({ name }) => name)).toEqual(names)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('has after a crash what was put, and of the rest all or nothing', async () => {
    let half = 0
    for (let seed = 1; seed <= 40; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        let runtime = server.boot()
        let store = new DirectoryBlobStore('blobs/of/mine', runtime)
        const content = (i: number): Buffer => Buffer.alloc(1 + ((i * 7919) % 5000), i)
        let put = 0
        for (let round = 0; round < 4; round++) {
          const putting = (async () => {
            for (let i = put; i < put + 5; i++) {
              await store.put(`n/${i}.bin`, content(i))
              put = i + 1
            }
          })().catch(() => undefined)
          await world.sleep(world.random.fraction() * 20)
          server.crash()
          void putting
          const acknowledged = put
          runtime = server.boot()
          store = new DirectoryBlobStore('blobs/of/mine', runtime)
          for (let i = 0; i < acknowledged + 5; i++) {
            const found = await store.get(`n/${i}.bin`).catch((error: DelosError) => error)
            if (found instanceof DelosError) {
              expect(found.code).toBe('NOT_FOUND')
              expect(i).toBeGreaterThanOrEqual(acknowledged)
              half++
            } else expect(Buffer.from(found).equals(content(i))).toBe(true)
          }
          put = acknowledged
        }
      })
    }
    expect(half).toBeGreaterThan(100)
  })
})
