// What every Disk must do while nothing crashes, as tests. Crashes are the simulated disk's own tests.

import { assert } from '../base/assert.ts'
import { DelosError, type ErrorCode } from '../base/delos-error.ts'
import type { TestFrameworkWithHooks } from '../base/test-framework.ts'
import type { Disk, DiskFile } from './disk.ts'

/** A fresh disk and an existing, empty directory on it. `close` undoes whatever making it took. */
export interface DiskUnderTest {
  readonly disk: Disk
  readonly root: string
  close(): Promise<void>
}

/** Registers the suite. */
export function diskConformance(
  name: string,
  framework: TestFrameworkWithHooks,
  make: () => Promise<DiskUnderTest>,
): void {
  const { describe, it, expect, beforeEach, afterEach } = framework
  describe(`${name} keeps the contract of Disk`, () => {
    let under: DiskUnderTest
    let disk: Disk
    let at: (name: string) => string

    beforeEach(async () => {
      under = await make()
      disk = under.disk
      at = (name) => `${under.root}/${name}`
    })
    afterEach(() => under.close())

    describe('files', () => {
      it('reads back what was written, at any offset', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.write(text('hello world'), 0)
        await file.write(text('WORLD'), 6)
        expect(await contents(file)).toBe('hello WORLD')
        await file.close()
      })

      it('reads less than asked only at the end', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.write(text('0123456789'), 0)
        const into = new Uint8Array(8)
        expect(await file.read(into, 4)).toBe(6)
        expect(Buffer.from(into.subarray(0, 6)).toString()).toBe('456789')
        expect(await file.read(into, 10)).toBe(0)
        expect(await file.read(into, 99)).toBe(0)
        expect(await file.read(new Uint8Array(0), 0)).toBe(0)
        await file.close()
      })

      it('fills a gap before a write with zeros', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.write(text('x'), 10_000)
        expect(await file.size()).toBe(10_001)
        const into = new Uint8Array(10_001).fill(7)
        expect(await file.read(into, 0)).toBe(10_001)
        expect(into.subarray(0, 10_000).every((byte) => byte === 0)).toBe(true)
        await file.close()
      })

      it('writes and reads a megabyte in one call each', async () => {
        const file = await disk.open(at('a'), 'create')
        const bytes = new Uint8Array(1_000_003).map((_, i) => i % 251)
        await file.write(bytes, 3)
        await file.sync()
        const into = new Uint8Array(bytes.length)
        expect(await file.read(into, 3)).toBe(bytes.length)
        expect(Buffer.compare(into, bytes)).toBe(0)
        await file.close()
      })

      it('takes an empty write as done', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.write(new Uint8Array(0), 100)
        await file.write(text('x'), 0)
        expect(await contents(file)).toBe('x')
        await file.close()
      })

      it('lets calls on different ranges of one file overlap', async () => {
        const file = await disk.open(at('a'), 'create')
        const pieces = Array.from({ length: 40 }, (_, i) => file.write(text(String(i).padStart(2, '0')), i * 2))
        await Promise.all([...pieces, file.sync()])
        expect(await contents(file)).toBe(Array.from({ length: 40 }, (_, i) => String(i).padStart(2, '0')).join(''))
        await file.close()
      })

      it('cuts, and extends with zeros, also over what was cut', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.write(text('0123456789'), 0)
        await file.truncate(4)
        expect(await contents(file)).toBe('0123')
        await file.truncate(8)
        expect(await contents(file)).toBe('0123\0\0\0\0')
        await file.truncate(0)
        expect(await file.size()).toBe(0)
        await file.close()
      })

      it('shows one file through all its handles', async () => {
        const writer = await disk.open(at('a'), 'create')
        const reader = await disk.open(at('a'), 'read')
        await writer.write(text('seen'), 0)
        expect(await contents(reader)).toBe('seen')
        await writer.close()
        await reader.close()
      })

      it('keeps an open file usable when its name is removed or replaced', async () => {
        const old = await disk.open(at('a'), 'create')
        await old.write(text('old'), 0)
        await put(disk, at('b'), 'new')
        await disk.rename(at('b'), at('a'))
        expect(await contents(old)).toBe('old')
        await old.write(text('OLD'), 0)
        expect(await contents(old)).toBe('OLD')
        await old.close()
        expect(await get(disk, at('a'))).toBe('new')
      })

      it('refuses a write through a handle opened to read', async () => {
        await put(disk, at('a'), 'x')
        const file = await disk.open(at('a'), 'read')
        await rejects(file.write(text('y'), 0), 'IO_ERROR')
        await file.close()
        expect(await get(disk, at('a'))).toBe('x')
      })

      it('rejects every call after close, which may be repeated', async () => {
        const file = await disk.open(at('a'), 'create')
        await file.close()
        await file.close()
        await rejects(file.write(text('x'), 0), 'IO_ERROR')
        await rejects(file.read(new Uint8Array(1), 0), 'IO_ERROR')
        await rejects(file.sync(), 'IO_ERROR')
        await rejects(file.size(), 'IO_ERROR')
        await rejects(file.truncate(0), 'IO_ERROR')
      })

      it('finishes the calls under way before close resolves', async () => {
        const file = await disk.open(at('a'), 'create')
        const settled: string[] = []
        const calls = [file.write(new Uint8Array(300_000), 0).then(() => settled.push('write'))]
        calls.push(file.close().then(() => settled.push('close')))
        await Promise.all(calls)
        expect(settled).toEqual(['write', 'close'])
      })
    })

    describe('names', () => {
      it('opens nothing that is not there, and creates nothing that is', async () => {
        await rejects(disk.open(at('a'), 'read'), 'NOT_FOUND')
        await rejects(disk.open(at('a'), 'update'), 'NOT_FOUND')
        await rejects(disk.open(at('no/a'), 'create'), 'NOT_FOUND')
        await put(disk, at('a'), 'x')
        await rejects(disk.open(at('a'), 'create'), 'CONFLICT')
        expect(await get(disk, at('a'))).toBe('x')
      })

      it('updates an existing file in place', async () => {
        await put(disk, at('a'), 'abc')
        const file = await disk.open(at('a'), 'update')
        await file.write(text('X'), 1)
        await file.close()
        expect(await get(disk, at('a'))).toBe('aXc')
      })

      it('lists the names of one directory, sorted', async () => {
        for (const name of ['b', 'a', 'c', '10', '9']) await put(disk, at(name), '')
        await disk.makeDir(at('d/e'))
        expect(await disk.list(under.root)).toEqual(['10', '9', 'a', 'b', 'c', 'd'])
        expect(await disk.list(at('d'))).toEqual(['e'])
        await rejects(disk.list(at('no')), 'NOT_FOUND')
      })

      it('says what exists', async () => {
        await put(disk, at('a'), 'x')
        expect(await disk.exists(at('a'))).toBe(true)
        expect(await disk.exists(under.root)).toBe(true)
        expect(await disk.exists(at('b'))).toBe(false)
        expect(await disk.exists(at('a/b'))).toBe(false)
        expect(await disk.exists(at('no/b'))).toBe(false)
      })

      it('makes a directory with its parents, and again without complaint', async () => {
        await disk.makeDir(at('x/y/z'))
        await disk.makeDir(at('x/y/z'))
        await put(disk, at('x/y/z/a'), 'deep')
        expect(await get(disk, at('x/y/z/a'))).toBe('deep')
      })

      it('refuses a directory where a file is', async () => {
        await put(disk, at('a'), 'x')
        await rejects(disk.makeDir(at('a')), 'CONFLICT')
      })

      it('renames over an existing file', async () => {
        await put(disk, at('a'), 'a')
        await put(disk, at('b'), 'b')
        await disk.rename(at('a'), at('b'))
        await disk.syncDir(under.root)
        expect(await disk.list(under.root)).toEqual(['b'])
        expect(await get(disk, at('b'))).toBe('a')
        await rejects(disk.rename(at('a'), at('c')), 'NOT_FOUND')
      })

      it('renames a directory with all it holds', async () => {
        await disk.makeDir(at('d'))
        await put(disk, at('d/a'), 'x')
        await disk.rename(at('d'), at('e'))
        expect(await disk.list(under.root)).toEqual(['e'])
        expect(await get(disk, at('e/a'))).toBe('x')
      })

      it('moves a file between directories', async () => {
        await disk.makeDir(at('d'))
        await put(disk, at('a'), 'x')
        await disk.rename(at('a'), at('d/a'))
        expect(await disk.list(under.root)).toEqual(['d'])
        expect(await get(disk, at('d/a'))).toBe('x')
      })

      it('removes files and empty directories, and what is not there', async () => {
        await put(disk, at('a'), 'x')
        await disk.makeDir(at('d'))
        await disk.remove(at('a'))
        await disk.remove(at('d'))
        await disk.remove(at('never'))
        await disk.remove(at('no/never'))
        expect(await disk.list(under.root)).toEqual([])
      })

      it('does not remove a directory that holds something', async () => {
        await disk.makeDir(at('d'))
        await put(disk, at('d/a'), 'x')
        await rejects(disk.remove(at('d')), 'IO_ERROR')
        expect(await get(disk, at('d/a'))).toBe('x')
      })

      it('syncs a directory that is there', async () => {
        await disk.syncDir(under.root)
        await rejects(disk.syncDir(at('no')), 'NOT_FOUND')
      })

      it('knows the free space', async () => {
        expect(await disk.freeBytes(under.root)).toBeGreaterThan(0)
      })
    })

    describe('locks', () => {
      it('has one holder at a time, and another after its release', async () => {
        const first = await disk.lock(at('LOCK'))
        expect(first).toBeDefined()
        expect(await disk.lock(at('LOCK'))).toBeUndefined()
        await first?.release()
        const second = await disk.lock(at('LOCK'))
        expect(second).toBeDefined()
        await first?.release()
        expect(await disk.lock(at('LOCK'))).toBeUndefined()
        await second?.release()
      })

      it('has one holder when several ask at once', async () => {
        const locks = await Promise.all(Array.from({ length: 8 }, () => disk.lock(at('LOCK'))))
        expect(locks.filter((lock) => lock !== undefined)).toHaveLength(1)
        await Promise.all(locks.map((lock) => lock?.release()))
      })

      it('keeps locks of different paths apart', async () => {
        const first = await disk.lock(at('A'))
        const second = await disk.lock(at('B'))
        expect(first).toBeDefined()
        expect(second).toBeDefined()
        await first?.release()
        await second?.release()
      })

      it('cannot lock in a directory that is not there', async () => {
        await rejects(disk.lock(at('no/LOCK')), 'NOT_FOUND')
      })
    })
  })
}

async function put(disk: Disk, path: string, value: string): Promise<void> {
  const file = await disk.open(path, 'create')
  await file.write(text(value), 0)
  await file.close()
}

async function get(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, 'read')
  const value = await contents(file)
  await file.close()
  return value
}

async function contents(file: DiskFile): Promise<string> {
  const into = new Uint8Array(await file.size())
  assert((await file.read(into, 0)) === into.length, 'a read stopped before the end of the file')
  return Buffer.from(into).toString()
}

function text(value: string): Uint8Array {
  return Buffer.from(value)
}

async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
  assert(outcome instanceof DelosError && outcome.code === code, `${code} expected, not ${String(outcome)}`)
}
