// What every metastore must do, as tests: one linearizable register with compare-and-set on its version.

import type { TestFramework } from '../base/test-framework.ts'
import type { MetaStore } from './metastore.ts'
import { rejection } from './suite-tools.ts'

/** An implementation in a fresh world. */
export interface MetaStoreUnderTest {
  /** Another handle onto the same register, as from another server. Absent if one process owns it. */
  readonly open?: () => Promise<MetaStore>
  readonly store: MetaStore
  /** A write may reject with INDETERMINATE and have happened or not. */
  readonly unreliable: boolean
  /** Loses power, starts again: a handle onto what is durable. Absent if nothing is. */
  readonly crash?: () => Promise<MetaStore>
}

/** Makes a fresh world, runs `body` in it, and ends it. */
export type MetaStoreWorld = (body: (under: MetaStoreUnderTest) => Promise<void>) => Promise<void>

/** Registers the suite. */
export function metastoreConformance(name: string, framework: TestFramework, world: MetaStoreWorld): void {
  const { describe, it, expect } = framework
  const rule = (sentence: string, body: (under: MetaStoreUnderTest) => Promise<void>) => it(sentence, () => world(body))

  describe(`${name} keeps the contract of MetaStore`, () => {
    rule('starts without a value, at version 0', async ({ store }) => {
      expect(await store.read()).toEqual({ value: undefined, version: 0 })
    })

    rule('reads what was written; each write adds one to the version', async ({ store }) => {
      for (let version = 0; version < 10; version++) {
        expect(await write(store, `value ${version}`, version)).toBe(version + 1)
        expect(await show(store)).toBe(`${version + 1} value ${version}`)
      }
    })

    rule('writes nothing at another version than the expected one', async ({ store }) => {
      await write(store, 'a', 0)
      for (const expected of [0, 2, 99]) {
        const outcome = await store.write(text('b'), expected).catch(() => undefined)
        if (outcome) expect(outcome).toEqual({ kind: 'conflict', version: 1 })
        expect(await show(store)).toBe('1 a')
      }
    })

    rule('lets one of several concurrent writes win', async ({ store, open, unreliable }) => {
      const others = open ? [await open(), await open()] : []
      const handles = [store, ...others]
      for (let version = 0; version < 5; version++) {
        const values = Array.from({ length: 6 }, (_, i) => `${version}/${i}`)
        const outcomes = await Promise.all(
          values.map((value, i) =>
            (handles[i % handles.length] as MetaStore).write(text(value), version).catch(() => undefined),
          ),
        )
        const winners = values.filter((_, i) => outcomes[i]?.kind === 'written')
        expect(winners.length).toBeLessThanOrEqual(1)
        if (!unreliable) expect(winners.length).toBe(1)
        // Under lost answers nobody may have won yet.
        if (winners.length === 0) await write(store, `${version}/0`, version)
        for (const handle of handles) {
          const [readVersion, value] = (await show(handle)).split(' ')
          expect(readVersion).toBe(`${version + 1}`)
          if (winners.length > 0) expect(value).toBe(winners[0])
        }
      }
    })

    rule('keeps its own copy of a value, and tells an empty one from none', async ({ store, unreliable }) => {
      const value = Buffer.from('abc')
      const writing = unreliable ? write(store, 'abc', 0) : writeBytes(store, value, 0)
      value.fill(0)
      await writing
      expect(await show(store)).toBe('1 abc')
      await write(store, '', 1)
      const read = await store.read()
      expect(read.version).toBe(2)
      expect(read.value?.length).toBe(0)
    })

    rule('takes a value of a megabyte', async ({ store }) => {
      await write(store, 'x'.repeat(1_000_000), 0)
      expect((await store.read()).value?.length).toBe(1_000_000)
    })

    rule('keeps what was written through a crash', async ({ store, crash }) => {
      if (!crash) return
      let handle = store
      for (let version = 0; version < 5; version++) {
        await write(handle, `value ${version}`, version)
        handle = await crash()
        expect(await show(handle)).toBe(`${version + 1} value ${version}`)
      }
    })

    rule('refuses everything once closed', async ({ store }) => {
      await store.close()
      await store.close()
      expect(await rejection(store.read())).toBe('CLOSED')
      expect(await rejection(store.write(text('a'), 0))).toBe('CLOSED')
    })
  })
}

/** Writes for sure; resolves with the version. After a lost answer it looks. */
async function write(store: MetaStore, value: string, expected: number): Promise<number> {
  return writeBytes(store, text(value), expected)
}

async function writeBytes(store: MetaStore, value: Uint8Array, expected: number): Promise<number> {
  for (;;) {
    const outcome = await store.write(value, expected).catch((error: { code?: string }) => {
      if (error.code !== 'INDETERMINATE') throw error
      return undefined
    })
    if (outcome?.kind === 'written') return outcome.version
    const { version } = await store.read()
    if (version > expected) return version
  }
}

async function show(store: MetaStore): Promise<string> {
  const { value, version } = await store.read()
  return `${version} ${value ? Buffer.from(value).toString() : 'none'}`
}

function text(value: string): Uint8Array {
  return Buffer.from(value)
}
