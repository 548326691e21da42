import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NodeDisk } from '../runtime/node-disk.ts'
import { nodeTimers } from '../runtime/node-timers.ts'
import { localStoreConformance } from './local-store.conformance.ts'
import type { StoreHarness } from './local-store.program.ts'
import type { LocalStore } from './local-store.ts'
import { ManualTime } from './manual-time.ts'
import { loadRocks, type RocksDb, type RocksOpenOptions } from './rocks-binding.ts'
import { openRocksStore } from './rocks-store.ts'

async function rocksHarness(): Promise<StoreHarness> {
  const root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-store-'))
  const time = new ManualTime(nodeTimers.soon)
  const runtime = { clock: time, timers: time, disk: new NodeDisk() }
  return {
    open: (options) => openRocksStore({ ...options, runtime, directory: path.join(root, 'store') }),
    advance: (ms) => time.advance(ms),
    turn: () => new Promise((resolve) => nodeTimers.soon(() => resolve())),
    dispose: () => fs.rm(root, { recursive: true }),
  }
}

// A few programs here: each reopens the store many times. rocks-store.slow.test.ts runs more.
localStoreConformance('the RocksDB store', { describe, it, expect }, rocksHarness, 3)

describe('the RocksDB store', () => {
  let root: string
  let directory: string
  const time = new ManualTime(nodeTimers.soon)
  const open = (): Promise<LocalStore> =>
    openRocksStore({ directory, runtime: { clock: time, timers: time, disk: new NodeDisk() } })

  beforeEach(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-store-'))
    directory = `${root}/made/by/opening`
  })
  afterEach(() => fs.rm(root, { recursive: true }))

  function put(store: LocalStore, key: string, value: string): void {
    const tx = store.begin()
    tx.put(key, Buffer.from(value))
    tx.commit()
  }

  async function refusal(promise: Promise<LocalStore>): Promise<string> {
    try {
      await (await promise).close()
      return 'nothing'
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string }
      return `${code}: ${message.replaceAll(directory, 'DIR')}`
    }
  }

  /** A database as RocksDB makes it, with one row. */
  async function foreignDatabase(key: string, value: string): Promise<void> {
    const rocks = loadRocks()
    await fs.mkdir(directory, { recursive: true })
    const db: RocksDb = rocks.db_init(directory)
    const options = { createIfMissing: true } as RocksOpenOptions
    await new Promise((resolve) => rocks.db_open(db, options, resolve))
    const batch = rocks.batch_init()
    rocks.batch_put(batch, Buffer.from(key), Buffer.from(value), undefined)
    rocks.batch_write(db, batch, { sync: true })
    await new Promise((resolve) => rocks.db_close(db, resolve))
  }

  it('brings no more than some megabytes closer at a time, however large rows are', async () => {
    const store = await open()
    const keys = Array.from({ length: 64 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    for (const key of keys) put(store, key, 'x'.repeat(1 << 20))
    await store.flush()
    const before = process.memoryUsage().external
    await store.prefetch(keys)
    expect(process.memoryUsage().external - before).toBeLessThan(24 << 20)
    await store.close()
  })

  it('is refused on a platform without a build in one clear line', () => {
    const line = 'no RocksDB build for linux-arm64: use one of linux-x64, darwin-arm64'
    expect(() => loadRocks('linux-arm64')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED', message: line }))
  })

  it('is open once at a time', async () => {
    const store = await open()
    expect(await refusal(open())).toMatch(/^IN_USE: opening the store in DIR: /)
    await store.close()
    expect(await refusal(open())).toBe('nothing')
  })

  it('refuses a newer format, and databases and directories that are not its own', async () => {
    await foreignDatabase('\u0102format', '3')
    expect(await refusal(open())).toBe('FORMAT: the store in DIR has format 3, this version reads up to 2')
    await fs.rm(directory, { recursive: true })
    await foreignDatabase('somebody', 'else')
    expect(await refusal(open())).toBe('FORMAT: the RocksDB database in DIR is not a store of ours')
    await fs.rm(directory, { recursive: true })
    await fs.mkdir(directory)
    await fs.writeFile(`${directory}/thesis.txt`, '')
    expect(await refusal(open())).toBe('FORMAT: DIR is not a store directory: it holds thesis.txt')
  })

  it('says that it is damaged when files are damaged or gone, and creates nothing over them', async () => {
    const store = await open()
    put(store, 'a', '1')
    await store.close()
    const current = await fs.readFile(`${directory}/CURRENT`)
    await fs.rm(`${directory}/CURRENT`)
    expect(await refusal(open())).toBe('CORRUPT: the store in DIR has lost its CURRENT file')
    await fs.writeFile(`${directory}/CURRENT`, current)
    expect(await refusal(open())).toBe('nothing')
    const manifest = (await fs.readFile(`${directory}/CURRENT`, 'latin1')).trim()
    await fs.writeFile(`${directory}/${manifest}`, 'garbage, and more of it than a record header has')
    expect(await refusal(open())).toMatch(/^CORRUPT: /)
  })

  it('completes a creation that was cut off', async () => {
    await fs.mkdir(directory, { recursive: true })
    for (const name of ['LOCK', 'IDENTITY', 'MANIFEST-000001']) await fs.writeFile(`${directory}/${name}`, '')
    expect(await refusal(open())).toBe('nothing')
  })

  it('refuses commits for good, and still reads, once its writing thread is gone', async () => {
    const store = await open()
    put(store, 'a', '1')
    await store.flush()
    put(store, 'b', '2')
    const { worker } = (store as unknown as { backend: { worker: { terminate(): Promise<number> } } }).backend
    await worker.terminate()
    for (let round = 0; round < 2; round++) {
      await expect(store.flush()).rejects.toMatchObject({ code: 'IO_ERROR' })
      expect(() => put(store, 'c', '3')).toThrow(expect.objectContaining({ code: 'IO_ERROR' }))
      store.begin().abort()
    }
    expect(store.read().get('b')?.toString()).toBe('2')
    expect(store.read().get('a')?.toString()).toBe('1')
    await store.close()
    const again = await open()
    expect([...again.read().scan({ from: '' })].map(([key]) => key)).toEqual(['a'])
    await again.close()
  })

  it('keeps digests durably from the first one on, and only then is no longer for an older build', async () => {
    const marks = async (): Promise<{ format: string | undefined; digests: boolean }> => {
      const rocks = loadRocks()
      const db = rocks.db_init(directory)
      await new Promise((resolve) => rocks.db_open(db, { createIfMissing: false } as RocksOpenOptions, resolve))
      const keys = ['\u0102format', '\u0102digests'].map((key) => Buffer.from(key))
      const [format, digests] = rocks.db_get_many_sync(db, keys, undefined)
      await new Promise((resolve) => rocks.db_close(db, resolve))
      return { format: format?.toString(), digests: digests !== undefined }
    }
    let store = await open()
    put(store, 'a\x00', '1')
    await store.close()
    expect(await marks()).toEqual({ format: '1', digests: false })
    store = await open()
    const before = await store.digest()
    await store.close()
    expect(await marks()).toEqual({ format: '2', digests: true })
    store = await open()
    put(store, 'b\x00', '1')
    await store.flush()
    await store.close()
    store = await open()
    expect((await store.digest()).get('a')).toBe(before.get('a'))
    expect([...(await store.digest()).keys()]).toEqual(['a', 'b'])
    await store.close()
  })

  it('closes in the middle of the first digest', async () => {
    const store = await open()
    const tx = store.begin()
    for (let i = 0; i < 20_000; i++) tx.put(`a\x00${i}`, Buffer.alloc(100))
    tx.commit()
    await store.flush()
    const digest = store.digest()
    await store.flush()
    const rejected = expect(digest).rejects.toMatchObject({ code: 'CLOSED' })
    await store.close()
    await rejected
    const again = await open()
    expect((await again.digest()).size).toBe(1)
    await again.close()
  })

  it('returns values that keep no other memory alive', async () => {
    const store = await open()
    put(store, 'a', '1')
    put(store, 'b', 'x'.repeat(100_000))
    await store.flush()
    const reads = store.read()
    expect(reads.get('a')?.buffer.byteLength).toBe(1)
    expect([...reads.scan({ from: '' })].map(([, value]) => value.buffer.byteLength)).toEqual([1, 100_000])
    await store.close()
  })
})
