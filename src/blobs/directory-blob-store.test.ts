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
const DAY_MS = 24 * 3_600_000

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

  it('keeps no folder without a blob, and makes it again for who is about to put one there', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
    try {
      const runtime = nodeRuntime()
      const [one, other] = [new DirectoryBlobStore(directory, runtime), new DirectoryBlobStore(directory, runtime)]
      await one.put('a/b/c/x.bin', Buffer.from('x'))
      await one.put('a/y.bin', Buffer.from('y'))
      await other.delete('a/b/c/x.bin')
      expect(readdirSync(`${directory}/a`)).toEqual(['y.bin'])
      // It has made that folder before, and knows nothing of its end.
      await one.put('a/b/c/z.bin', Buffer.from('z'))
      const turns = async (store: DirectoryBlobStore, name: string): Promise<void> => {
        for (let turn = 0; turn < 50; turn++) {
          await store.put(name, Buffer.from(name))
          await store.delete(name)
        }
      }
      await Promise.all([turns(one, 'f/g/1.bin'), turns(other, 'f/g/2.bin')])
      for (const name of ['a/b/c/z.bin', 'a/y.bin']) await one.delete(name)
      expect(readdirSync(directory)).toEqual([])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('lists what there is while another process deletes the last blob of a folder', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
    try {
      const runtime = nodeRuntime()
      const other = new DirectoryBlobStore(directory, runtime)
      for (const name of ['a/x.bin', 'b/x.bin', 'c/x.bin']) await other.put(name, Buffer.from(name))
      const { disk } = runtime
      const slow = Object.assign(Object.create(disk) as typeof disk, {
        list: async (path: string) => {
          if (path.endsWith('/b')) await other.delete('b/x.bin')
          return await disk.list(path)
        },
      })
      const { blobs } = await new DirectoryBlobStore(directory, { ...runtime, disk: slow }).list('')
      expect(blobs.map(({ name }) => name)).toEqual(['a/x.bin', 'c/x.bin'])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('removes what a killed put has left behind, when it is old, and nothing else', async () => {
    const files = (directory: string) => readdirSync(directory, { recursive: true }).map(String).sort()
    const directory = mkdtempSync(join(tmpdir(), 'delos-blobs-'))
    try {
      const runtime = nodeRuntime()
      await new DirectoryBlobStore(directory, runtime).put('a/b/x.bin', Buffer.from('x'))
      const nonce = '0123456789abcdef'
      const [old, young] = [DAY_MS + 60_000, DAY_MS - 60_000].map((age) => Math.floor(Date.now() - age))
      const kept = [
        `a/b/y.bin.${young}-${nonce}.tmp`,
        'a/b/mine.tmp',
        `a/b/${old}-${nonce}.tmp.bin`,
        `a/.${old}-${nonce}.tmp`,
      ]
      const left = [`a/b/y.bin.${old}-${nonce}.tmp`, `a/z.bin.${old}-${nonce}.tmp`]
      for (const name of [...kept, ...left]) writeFileSync(`${directory}/${name}`, 'half')
      const store = new DirectoryBlobStore(directory, runtime)
      await store.put('a/b/x.bin', Buffer.from('again'))
      expect(files(directory)).toEqual(['a', 'a/b', 'a/b/x.bin', ...kept].sort())
      // Once a day: it looks at all folders.
      writeFileSync(`${directory}/${left[0]}`, 'half')
      await store.put('a/b/x.bin', Buffer.from('again'))
      expect(files(directory)).toContain(left[0])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('has what two processes put at the same time, also if one takes the other for left behind', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const runtime = world.server('a').boot()
      const store = new DirectoryBlobStore('blobs', runtime)
      const putting = store.put('n/x.bin', Buffer.alloc(5_000, 1)).catch((error: DelosError) => error)
      const clock = { monotonicMs: () => 0, wallMs: () => runtime.clock.wallMs() + 2 * DAY_MS }
      await world.sleep(0.5)
      await new DirectoryBlobStore('blobs', { ...runtime, clock }).put('n/y.bin', Buffer.from('y'))
      const failed = await putting
      const found = await store.get('n/x.bin').catch((error: DelosError) => error)
      if (failed instanceof DelosError) expect(found).toMatchObject({ code: 'NOT_FOUND' })
      else expect(found).toHaveLength(5_000)
      expect(await store.get('n/y.bin')).toHaveLength(1)
    })
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
