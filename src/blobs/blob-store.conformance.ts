// What every BlobStore must do, as tests. Services that fail are test/s3-blob-store.test.ts.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { TestFramework } from '../base/test-framework.ts'
import { allBlobs, BLOB_BYTES_MAX, type BlobStore } from './blob-store.ts'

export interface BlobsUnderTest {
  /** Empty. */
  readonly store: BlobStore
  /** Another client of the same blobs. */
  again(): Promise<BlobStore>
  /** Changes stored bytes behind the store's back. */
  tamper(name: string, change: (stored: Buffer) => Buffer): Promise<void>
}

/** Registers the suite; `run` makes a fresh store, runs the body and cleans up. */
export function blobStoreConformance(
  name: string,
  { describe, it, expect }: TestFramework,
  run: (body: (under: BlobsUnderTest) => Promise<void>) => Promise<void>,
): void {
  describe(`${name} keeps the contract of BlobStore`, () => {
    it('gives back what was put, whatever its size', () =>
      run(async ({ again, store }) => {
        for (const size of [0, 1, 31, 32, 33, 70_000, 5 * 1024 * 1024]) {
          const bytes = patterned(size)
          await store.put('a/b/c.bin', bytes)
          expect(Buffer.from(await store.get('a/b/c.bin')).equals(bytes)).toBe(true)
        }
        const other = await again()
        expect((await other.get('a/b/c.bin')).length).toBe(5 * 1024 * 1024)
        await other.close()
      }))

    it('takes what is put in pieces as one', () =>
      run(async ({ store }) => {
        const bytes = patterned(300_000)
        const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 1), bytes.subarray(1, 200_000), bytes.subarray(200_000)]
        await store.put('a/x.bin', pieces)
        expect(Buffer.from(await store.get('a/x.bin')).equals(bytes)).toBe(true)
        expect((await store.list('a/')).blobs).toEqual([{ name: 'a/x.bin', bytes: bytes.length + 32 }])
        await store.put('a/x.bin', [])
        expect(await store.get('a/x.bin')).toHaveLength(0)
        const large = [patterned(1000), Buffer.alloc(BLOB_BYTES_MAX)]
        expect(await codeOf(store.put('b.bin', large))).toBe('LIMIT_EXCEEDED')
        expect((await store.list('b')).blobs).toEqual([])
      }))

    it('replaces what had the name', () =>
      run(async ({ store }) => {
        await store.put('x.bin', patterned(1000))
        await store.put('x.bin', patterned(10))
        expect(Buffer.from(await store.get('x.bin'))).toEqual(patterned(10))
        expect((await store.list('')).blobs).toHaveLength(1)
      }))

    it('rejects with NOT_FOUND what is not there, and deletes it all the same', () =>
      run(async ({ store }) => {
        expect(await codeOf(store.get('none/at-all.bin'))).toBe('NOT_FOUND')
        await store.delete('none/at-all.bin')
        await store.put('none/at-all.bin', patterned(3))
        await store.delete('none/at-all.bin')
        await store.delete('none/at-all.bin')
        expect(await codeOf(store.get('none/at-all.bin'))).toBe('NOT_FOUND')
        expect(await store.list('')).toEqual({ blobs: [], more: false })
      }))

    it('refuses what is too large for one blob, with the limit', () =>
      run(async ({ store }) => {
        expect(await codeOf(store.put('x.bin', Buffer.alloc(BLOB_BYTES_MAX + 1)))).toBe('LIMIT_EXCEEDED')
        expect(await store.list('')).toEqual({ blobs: [], more: false })
      }))

    it('lists by prefix, ascending, page by page', () =>
      run(async ({ store }) => {
        const names = ['a/x.bin', 'a/y/1.bin', 'a/y/2.bin', 'a0/x.bin', 'a1.bin', 'b.bin']
        for (const one of names) await store.put(one, patterned(one.length))
        expect((await store.list('')).blobs.map((blob) => blob.name)).toEqual(names)
        expect((await store.list('a/')).blobs.map((blob) => blob.name)).toEqual(['a/x.bin', 'a/y/1.bin', 'a/y/2.bin'])
        expect((await store.list('a')).blobs.length).toBe(5)
        expect((await store.list('a/y/2')).blobs.map((blob) => blob.name)).toEqual(['a/y/2.bin'])
        expect((await store.list('c')).blobs).toEqual([])
        const paged: string[] = []
        let after: string | undefined
        for (let more = true; more; ) {
          const page = await store.list('', { after, max: 3 })
          expect(page.blobs.length > 0 || !page.more).toBe(true)
          paged.push(...page.blobs.map((blob) => blob.name))
          after = paged.at(-1)
          more = page.more
        }
        expect(paged).toEqual(names)
        const all: string[] = []
        for await (const blob of allBlobs(store, 'a/')) all.push(blob.name)
        expect(all).toHaveLength(3)
        expect((await store.list('a/', { after: 'a/y/1.bin' })).blobs.map((blob) => blob.name)).toEqual(['a/y/2.bin'])
        const [first] = (await store.list('b')).blobs
        expect(first?.bytes).toBe('b.bin'.length + 32)
      }))

    it('never gives damaged, short, long or exchanged bytes', () =>
      run(async ({ store, tamper }) => {
        const changes: ((stored: Buffer) => Buffer)[] = [
          (stored) => stored.subarray(0, -1),
          (stored) => stored.subarray(0, 10),
          () => Buffer.alloc(0),
          (stored) => Buffer.concat([stored, stored.subarray(0, 1)]),
          (stored) => Buffer.from(stored.map((byte, at) => (at === 500 ? byte ^ 1 : byte))),
          (stored) => Buffer.from(stored.map((byte, at) => (at === stored.length - 1 ? byte ^ 128 : byte))),
        ]
        for (const change of changes) {
          await store.put('x.bin', patterned(1000))
          await tamper('x.bin', change)
          expect(await codeOf(store.get('x.bin'))).toBe('CORRUPT')
        }
        await store.put('y.bin', patterned(1000))
        let other: Buffer | undefined
        await tamper('y.bin', (stored) => {
          other = Buffer.from(stored)
          return stored
        })
        await tamper('x.bin', () => other as Buffer)
        expect(await codeOf(store.get('x.bin'))).toBe('CORRUPT')
        expect((await store.get('y.bin')).length).toBe(1000)
      }))

    it('ends a call that nobody waits for any more', () =>
      run(async ({ store }) => {
        const controller = new AbortController()
        controller.abort()
        const { signal } = controller
        expect(await codeOf(store.put('x.bin', patterned(1), { signal }))).toBe('CLOSED')
        expect(await codeOf(store.get('x.bin', { signal }))).toBe('CLOSED')
      }))
  })
}

function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 255
  return bytes
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    assert(error instanceof DelosError, `a foreign error: ${String(error)}`)
    return error.code
  }
  return 'none'
}
