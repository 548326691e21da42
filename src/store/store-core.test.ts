import { describe, expect, it } from 'vitest'
import { NodeRandom } from '../runtime/node-random.ts'
import { nodeTimers } from '../runtime/node-timers.ts'
import { seededChoices } from './local-store.conformance.ts'
import { runStoreProgram } from './local-store.program.ts'
import type { LocalStore } from './local-store.ts'
import { ManualTime } from './manual-time.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from './memory-store.ts'
import type { StoreBackend, WriteBatch } from './store-backend.ts'
import type { Written } from './write-table.ts'

const time = new ManualTime(nodeTimers.soon)
const runtime = { clock: time, timers: time, random: new NodeRandom() }

type Changes = (inner: StoreBackend) => Partial<StoreBackend>

function changed(inner: StoreBackend, changes: Changes): StoreBackend {
  const methods = ['get', 'getMany', 'readRange', 'getLocal', 'write', 'digest', 'openSnapshot', 'close'] as const
  const same = Object.fromEntries(methods.map((name) => [name, (inner[name] as () => unknown).bind(inner)]))
  return { ...(same as unknown as StoreBackend), ...changes(inner) }
}

function overBackend(changes: Changes): MemoryStore {
  return openMemoryStore({ runtime, wrap: (inner) => changed(inner, changes), layerKeysMax: 10 })
}

function put(store: LocalStore, key: string): void {
  const tx = store.begin()
  tx.put(key, Buffer.from('1'))
  tx.commit()
}

describe('a store whose disk fails', () => {
  it('rejects all that waits, refuses commits for good, and goes on reading', async () => {
    let fail = (): void => undefined
    const store = overBackend(() => ({
      write: () =>
        new Promise((_, reject) => {
          fail = () => reject(new Error('no disk'))
        }),
    }))
    for (let i = 0; i < 12; i++) put(store, `k${i}`)
    const waiting = [
      store.flush(),
      store.openView({ deadlineMs: 1000 }),
      store.whenWritable(),
      store.local.put('id', Buffer.from('1')),
      store.digest(),
    ]
    const outcomes = Promise.allSettled(waiting)
    await new Promise((resolve) => nodeTimers.soon(() => resolve(undefined)))
    await new Promise((resolve) => nodeTimers.soon(() => resolve(undefined)))
    fail()
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'IO_ERROR' } })
    const ioError = { code: 'IO_ERROR', message: 'the store could not write: no disk' }
    await expect(store.flush()).rejects.toMatchObject(ioError)
    await expect(store.whenWritable()).rejects.toMatchObject(ioError)
    await expect(store.openView({ deadlineMs: 1 })).rejects.toMatchObject(ioError)
    await expect(store.local.put('id', Buffer.from('1'))).rejects.toMatchObject(ioError)
    await expect(store.digest()).rejects.toMatchObject(ioError)
    expect(() => put(store, 'k')).toThrow(expect.objectContaining(ioError))
    expect(store.read().get('k11')?.toString()).toBe('1')
    await store.close()
  })

  it('gives up waiting for a view at its deadline', async () => {
    const store = overBackend(() => ({ write: () => new Promise(() => undefined) }))
    put(store, 'a')
    const view = store.openView({ deadlineMs: 100 })
    time.advance(101)
    await expect(view).rejects.toMatchObject({ code: 'TIMEOUT' })
    store.crash()
  })

  it('bounds local puts that wait', async () => {
    const store = openMemoryStore({ runtime, localPutsMax: 2 })
    const puts = ['a', 'b', 'c'].map((key) => store.local.put(key, Buffer.from('1')))
    await expect(puts[2]).rejects.toMatchObject({ code: 'OVERLOADED' })
    await Promise.all(puts.slice(0, 2))
    const again = ['1', '2', '3'].map((value) => store.local.put('a', Buffer.from(value)))
    await expect(again[2]).rejects.toMatchObject({ code: 'OVERLOADED' })
    await Promise.all(again.slice(0, 2))
    expect(store.local.get('a')?.toString()).toBe('2')
    await store.close()
  })
})

describe('a store that goes on committing past a full layer', () => {
  it('fails an assertion before memory runs out', () => {
    const store = openMemoryStore({ runtime, layerKeysMax: 10 })
    expect(() => {
      for (let i = 0; i < 100; i++) put(store, `k${i}`)
    }).toThrow('far beyond a full write-back layer')
    store.crash()
  })
})

describe('a planted fault', () => {
  it('in which a layer is pushed in parts is found by the random programs', async () => {
    const found = await firstFailure((inner) => ({
      write: async (batch, sync) => {
        const rows = [...batch.rows()]
        await inner.write(partOf(batch, rows.slice(0, rows.length / 2)), false)
        await inner.write(partOf(batch, rows.slice(rows.length / 2)), sync)
      },
    }))
    expect(found).toMatch(/after a crash the store holds no state/)
  })

  it('in which a flush does not sync is found by the random programs', async () => {
    const found = await firstFailure((inner) => ({ write: (batch) => inner.write(batch, false) }))
    expect(found).toMatch(/after a crash the store holds no state/)
  })

  it('in which a digest is taken behind a later push is found by the random programs', async () => {
    const turn = (): Promise<void> => new Promise((resolve) => nodeTimers.soon(resolve))
    const found = await firstFailure((inner) => ({
      digest: () =>
        turn()
          .then(turn)
          .then(() => inner.digest()),
    }))
    expect(found).toMatch(/a digest: the store has/)
  })

  function partOf(batch: WriteBatch, rows: (readonly [string, Written])[]): WriteBatch {
    return { size: rows.length, rows: () => rows, local: batch.local }
  }

  async function firstFailure(changes: Changes): Promise<string> {
    for (let seed = 1; seed <= 50; seed++) {
      const uint32 = seededChoices(seed, Number.POSITIVE_INFINITY) as (below: number) => number
      const random = { uint32: () => uint32(2 ** 32), bytes: (length: number) => new Uint8Array(length) }
      const backend = new MemoryBackend({ timers: time, random })
      const wrap = (inner: StoreBackend): StoreBackend => changed(inner, changes)
      const harness = {
        open: async (options = {}) => openMemoryStore({ ...options, runtime, backend, wrap }),
        advance: (ms: number) => time.advance(ms),
        turn: () => new Promise<void>((resolve) => nodeTimers.soon(resolve)),
        crash: (store: LocalStore) => (store as MemoryStore).crash(),
        dispose: async () => undefined,
      }
      try {
        await runStoreProgram(harness, seededChoices(seed, 400))
      } catch (thrown) {
        return (thrown as Error).message
      }
    }
    return 'nothing found'
  }
})
