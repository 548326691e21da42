// What every LocalStore must do, as tests: random programs against a model, and the rules that a model shows badly. Works
// with any test framework that has describe, it and expect.

import { AssertionFailure } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { TestFramework } from '../base/test-framework.ts'
import { type Choices, digestOfRows, runStoreProgram, type StoreHarness } from './local-store.program.ts'
import type { LocalStore, ReadTx, StoreDigest } from './local-store.ts'

// What a harness needs beside its store: time that it moves itself.
export { ManualTime } from './manual-time.ts'

/** Registers the suite. `make` gives each test a disk of its own; `programs` is how many random programs are run. */
export function localStoreConformance(
  name: string,
  { describe, it, expect }: TestFramework,
  make: () => Promise<StoreHarness>,
  programs = 60,
): void {
  /** A test with a disk of its own and a store on it, both closed afterwards. */
  const test = (sentence: string, body: (store: LocalStore, harness: StoreHarness) => Promise<void>): void => {
    it(sentence, async () => {
      const harness = await make()
      const store = await harness.open()
      try {
        await body(store, harness)
      } finally {
        await store.close()
        await harness.dispose()
      }
    })
  }

  describe(`${name} keeps the contract of LocalStore`, () => {
    it('answers random programs as a sorted map does', async () => {
      for (let seed = 1; seed <= programs; seed++) {
        const harness = await make()
        await runStoreProgram(harness, seededChoices(seed, 400))
        await harness.dispose()
      }
    }, 120_000)

    describe('transactions', () => {
      test('are invisible until committed, then visible at once', async (store) => {
        const tx = store.begin()
        tx.put('a', bytes('1'))
        expect(store.read().get('a')).toBe(undefined)
        expect(textOf(tx.get('a'))).toBe('1')
        tx.commit()
        expect(textOf(store.read().get('a'))).toBe('1')
      })

      test('leave nothing when aborted', async (store) => {
        put(store, { a: '1' })
        const tx = store.begin()
        tx.put('a', bytes('2'))
        tx.delete('a')
        tx.put('b', bytes('2'))
        tx.abort()
        expect(content(store.read())).toEqual(['a=1'])
      })

      test('are open one at a time, and end once', async (store) => {
        const tx = store.begin()
        expect(thrownBy(() => store.begin())).toBe('AssertionFailure')
        tx.commit()
        expect(thrownBy(() => tx.get('a'))).toBe('AssertionFailure')
        expect(thrownBy(() => tx.put('a', bytes('')))).toBe('AssertionFailure')
        expect(thrownBy(() => tx.commit())).toBe('AssertionFailure')
        store.begin().abort()
      })

      test('return to savepoints, innermost first, also to values that were committed before', async (store) => {
        put(store, { a: '1', b: '1' })
        await store.flush()
        const tx = store.begin()
        tx.put('a', bytes('2'))
        const outer = tx.savepoint()
        tx.delete('a')
        tx.put('c', bytes('2'))
        const inner = tx.savepoint()
        tx.delete('b')
        tx.put('c', bytes('3'))
        tx.rollbackTo(inner)
        expect(content(tx)).toEqual(['b=1', 'c=2'])
        tx.rollbackTo(inner)
        tx.rollbackTo(outer)
        expect(content(tx)).toEqual(['a=2', 'b=1'])
        tx.put('d', bytes('4'))
        tx.rollbackTo(outer)
        tx.commit()
        expect(content(store.read())).toEqual(['a=2', 'b=1'])
      })

      test('keep every byte of keys and values, in the order of the bytes', async (store, harness) => {
        const keys = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i))
        const all = Uint8Array.from({ length: 256 }, (_, i) => i)
        const tx = store.begin()
        for (const key of [...keys].reverse()) tx.put(key, all)
        tx.put('', all)
        tx.put('empty', new Uint8Array(0))
        tx.commit()
        for (let round = 0; round < 2; round++) {
          const found = [...store.read().scan({ from: '' })].map(([key]) => key)
          expect(found).toEqual(['', 'empty', ...keys].sort())
          expect([...(store.read().get('\xff') ?? [])]).toEqual([...all])
          expect(store.read().get('empty')?.length).toBe(0)
          await store.flush()
          await harness.turn()
        }
      })

      test('carry values larger than the whole layer', async (store, harness) => {
        const large = new Uint8Array(40 * 1024 * 1024).fill(7)
        const tx = store.begin()
        tx.put('large', large)
        tx.put('small', bytes('1'))
        tx.commit()
        expect(store.full).toBe(true)
        await store.whenWritable()
        expect(store.full).toBe(false)
        await store.close()
        const again = await harness.open()
        expect(Buffer.compare(again.read().get('large') as Uint8Array, large)).toBe(0)
        await again.close()
      })
    })

    describe('scans', () => {
      test('go both ways over ranges with limits, over layer and disk', async (store) => {
        put(store, { a: '1', b: '1', c: '1', d: '1', e: '1' })
        await store.flush()
        put(store, { b: undefined, c: '2', bb: '2' })
        const scan = (from: Key, to: Key | undefined, options = {}): string[] =>
          rows(store.read().scan({ from, to }, options))
        expect(scan('', undefined)).toEqual(['a=1', 'bb=2', 'c=2', 'd=1', 'e=1'])
        expect(scan('', undefined, { reverse: true })).toEqual(['e=1', 'd=1', 'c=2', 'bb=2', 'a=1'])
        expect(scan('a', 'd')).toEqual(['a=1', 'bb=2', 'c=2'])
        expect(scan('a', 'd', { reverse: true, limit: 2 })).toEqual(['c=2', 'bb=2'])
        expect(scan('b', 'bb')).toEqual([])
        expect(scan('d', 'a')).toEqual([])
        expect(scan('a', 'z', { limit: 0 })).toEqual([])
      })

      test('give the same keys without values', async (store) => {
        put(store, { a: '1', b: '1', c: 'x'.repeat(100_000), d: '1' })
        await store.flush()
        put(store, { b: undefined, aa: '2' })
        const range = { from: 'a', to: 'd' }
        const keys = (options = {}) => [...store.read().scan(range, { keysOnly: true, ...options })].map(([key]) => key)
        expect(keys()).toEqual(['a', 'aa', 'c'])
        expect(keys({ reverse: true, limit: 2 })).toEqual(['c', 'aa'])
        const view = await store.openView({ deadlineMs: 1000 })
        expect([...view.scan(range, { keysOnly: true })].map(([key]) => key)).toEqual(['a', 'aa', 'c'])
        view.close()
      })

      test('pass over thousands of rows and of deleted rows', async (store) => {
        const tx = store.begin()
        for (let i = 0; i < 5000; i++) tx.put(`k${String(i).padStart(5, '0')}`, bytes(String(i)))
        tx.commit()
        await store.flush()
        const deleting = store.begin()
        for (const [key] of deleting.scan({ from: 'k00010', to: 'k04990' })) deleting.delete(key)
        expect(rows(deleting.scan({ from: 'k' })).length).toBe(20)
        deleting.commit()
        expect(rows(store.read().scan({ from: 'k00005' }, { limit: 6 })).at(-1)).toBe('k04990=4990')
        await store.flush()
        expect(rows(store.read().scan({ from: 'k' }, { reverse: true, limit: 11 })).at(-1)).toBe('k00009=9')
      })

      test('can stop early, run inside each other, and refuse to go on after a commit', async (store) => {
        put(store, { a: '1', b: '1', c: '1' })
        const pairs: string[] = []
        for (const [x] of store.read().scan({ from: '' })) {
          for (const [y] of store.read().scan({ from: '' }, { reverse: true })) {
            if (x === y) break
            pairs.push(x + y)
          }
        }
        expect(pairs).toEqual(['ac', 'ab', 'bc'])
        const scan = store.read().scan({ from: '' })[Symbol.iterator]()
        scan.next()
        put(store, { d: '1' })
        expect(thrownBy(() => scan.next())).toBe('AssertionFailure')
      })
    })

    describe('durability', () => {
      test('covers with one flush what was committed before it, and shares work between callers', async (store, harness) => {
        put(store, { a: '1' })
        await Promise.all(Array.from({ length: 50 }, () => store.flush()))
        expect(store.stats.flushes).toBe(1)
        await store.flush()
        expect(store.stats.flushes).toBe(1)
        expect(store.stats.layerKeys).toBe(0)
        put(store, { b: '2' })
        const first = store.flush()
        put(store, { c: '3' })
        await Promise.all([first, store.flush()])
        expect(store.stats.flushes <= 3).toBe(true)
        await store.close()
        const again = await harness.open()
        expect(content(again.read())).toEqual(['a=1', 'b=2', 'c=3'])
        await again.close()
      })

      test('never covers an open transaction', async (store, harness) => {
        put(store, { a: '1' })
        const tx = store.begin()
        tx.put('a', bytes('2'))
        tx.put('b', bytes('2'))
        await store.flush()
        tx.abort()
        await store.close()
        const again = await harness.open()
        expect(content(again.read())).toEqual(['a=1'])
        await again.close()
      })

      it('leaves whole commits after a crash, at least those before the last resolved flush', async () => {
        for (let seed = 1; seed <= 40; seed++) await crashRound(make, seededChoices(seed, Number.POSITIVE_INFINITY))
      }, 60_000)
    })

    describe('a prefetch', () => {
      test('changes nothing that is read, and the store that is closed meanwhile ends after it', async (store) => {
        for (let i = 0; i < 100; i++) put(store, { [`k${i}`]: `v${i}` })
        await store.flush()
        const before = content(store.read())
        const under = store.prefetch(['k1', 'k50', 'unknown', '\xff\x80'])
        expect(content(store.read())).toEqual(before)
        await under
        expect(content(store.read())).toEqual(before)
        const last = store.prefetch(['k2'])
        await Promise.all([store.close(), last])
        expect(await rejectionOf(store.prefetch(['k3']))).toBe('CLOSED')
      })
    })

    describe('the write-back layer', () => {
      it('is bounded: a store says when it is full and when it is writable again', async () => {
        const harness = await make()
        const store = await harness.open({ layerKeysMax: 100, layerBytesMax: 1_000_000 })
        let waits = 0
        for (let i = 0; i < 2000; i++) {
          if (store.full) {
            waits++
            await store.whenWritable()
          }
          put(store, { [`k${i}`]: 'v' })
          if (store.stats.layerKeys > 101) throw new Error(`${store.stats.layerKeys} keys in the layer`)
        }
        expect(waits > 10).toBe(true)
        expect(rows(store.read().scan({ from: '' })).length).toBe(2000)
        await store.close()
        await harness.dispose()
      })

      it('starts to push by itself before it is full', async () => {
        const harness = await make()
        const store = await harness.open({ layerKeysMax: 100, layerBytesMax: 1_000_000 })
        for (let i = 0; i < 60; i++) put(store, { [`k${i}`]: 'v' })
        while (store.stats.pushes === 0) await harness.turn()
        expect(store.stats.layerKeys).toBe(0)
        await store.close()
        await harness.dispose()
      })
    })

    describe('views', () => {
      test('hold one state while the store goes on', async (store) => {
        put(store, { a: '1', b: '1', c: '1' })
        const view = await store.openView({ deadlineMs: 1000 })
        put(store, { a: '2', b: undefined, d: '2' })
        await store.flush()
        expect(store.stats.openViews).toBe(1)
        expect(content(view)).toEqual(['a=1', 'b=1', 'c=1'])
        expect(rows(view.scan({ from: 'a', to: 'c' }, { reverse: true, limit: 1 }))).toEqual(['b=1'])
        expect(view.getMany(['d', 'b']).map(textOf)).toEqual([undefined, '1'])
        view.close()
        view.close()
        expect(view.expired).toBe(false)
        expect(thrownBy(() => view.get('a'))).toBe('CLOSED')
        expect(store.stats.openViews).toBe(0)
      })

      test('end at their deadline', async (store, harness) => {
        put(store, { a: '1' })
        const view = await store.openView({ deadlineMs: 1000 })
        harness.advance(999)
        expect(textOf(view.get('a'))).toBe('1')
        harness.advance(2)
        expect(view.expired).toBe(true)
        expect(thrownBy(() => view.get('a'))).toBe('TIMEOUT')
        expect(thrownBy(() => [...view.scan({ from: '' })])).toBe('TIMEOUT')
        expect(store.stats.openViews).toBe(0)
      })

      it('are limited in number', async () => {
        const harness = await make()
        const store = await harness.open({ viewsMax: 2 })
        const opening = [1, 2, 3].map(() => store.openView({ deadlineMs: 1000 }))
        expect(await rejectionOf(opening[2] as Promise<unknown>)).toBe('OVERLOADED')
        const [first] = await Promise.all(opening.slice(0, 2))
        first?.close()
        const third = await store.openView({ deadlineMs: 1000 })
        await store.close()
        expect(thrownBy(() => third.get('a'))).toBe('CLOSED')
        await harness.dispose()
      })
    })

    describe('digests', () => {
      test('are equal for equal content, however it came about, for each sub-store apart', async (store) => {
        put(store, { 'one\x00a': '1', 'one\x00b': '2', 'two\x00a': '1', 'two\x00\x00': '', loose: '1' })
        const first = await store.digest()
        expect([...first.keys()].sort()).toEqual(['', 'one', 'two'])
        expect([...first.values()].every((digest) => /^[0-9a-f]{32}$/.test(digest))).toBe(true)
        put(store, { 'one\x00a': '3', 'one\x00b': undefined, 'one\x00c': '1', 'two\x00never': undefined })
        const second = await store.digest()
        expect(second.get('one') === first.get('one')).toBe(false)
        expect(second.get('two')).toBe(first.get('two'))
        put(store, { 'one\x00c': undefined, 'one\x00b': '2' })
        await store.flush()
        put(store, { 'one\x00a': '1', 'two\x00a': '1' })
        expect(sorted(await store.digest())).toEqual(sorted(first))
        put(store, { 'two\x00a': undefined, 'two\x00\x00': undefined })
        expect([...(await store.digest()).keys()].sort()).toEqual(['', 'one'])
      })

      test('are those of a scan at the call, with others waiting and commits going on', async (store, harness) => {
        const waiting: Promise<void>[] = []
        for (let i = 0; i < 40; i++) {
          put(store, { [`a\x00${i % 7}`]: String(i), [`b\x00${i % 3}`]: i % 2 === 0 ? undefined : String(i) })
          const expected = sorted(digestOfRows(store.read().scan({ from: '' })))
          const open = i % 3 === 0 ? store.begin() : undefined
          open?.put('a\x00open', bytes(String(i)))
          waiting.push(store.digest().then((digest) => expect(sorted(digest)).toEqual(expected)))
          open?.commit()
          if (i % 4 === 1) void store.flush()
          if (i % 5 === 0) await harness.turn()
          if (i % 8 === 7) await Promise.all(waiting.splice(0))
          expect(content(store.read()).length > 0).toBe(true)
        }
        await Promise.all(waiting)
      })

      test('are those of a scan while the first one walks many rows and pushes go on', async (store, harness) => {
        const many = store.begin()
        for (let i = 0; i < 5000; i++) many.put(`k\x00${i}`, bytes('x'.repeat(i % 50)))
        many.commit()
        const checks: Promise<void>[] = []
        for (let i = 0; i < 24; i++) {
          const expected = sorted(digestOfRows(store.read().scan({ from: '' })))
          checks.push(store.digest().then((digest) => expect(sorted(digest)).toEqual(expected)))
          put(store, { [`k\x00${i * 200}`]: undefined, [`k\x00${i * 200 + 1}`]: 'new', [`l\x00${i}`]: 'new' })
          // Fewer than may wait, however slow the disk is.
          if (checks.length === 6) await checks.shift()
          else await harness.turn()
        }
        await Promise.all(checks)
      })

      test('go on from what is on the disk after reopening, and begin again under another key', async (store, harness) => {
        put(store, { 'a\x00': '1', 'b\x00': '1' })
        const before = await store.digest()
        expect(sorted(before)).toEqual(sorted(digestOfRows(store.read().scan({ from: '' }))))
        put(store, { 'a\x00': '2' })
        await store.close()
        const digestKey = Uint8Array.from({ length: 16 }, (_, i) => i)
        for (const key of [undefined, digestKey, undefined]) {
          const again = await harness.open(key === undefined ? {} : { digestKey: key })
          put(again, { 'a\x00': undefined, 'c\x00': key === undefined ? '1' : '2' })
          const expected = digestOfRows(again.read().scan({ from: '' }), key)
          expect(sorted(await again.digest())).toEqual(sorted(expected))
          expect(expected.get('b') === before.get('b')).toBe(key === undefined)
          await again.close()
        }
        const silent = await harness.open({ digestKey })
        put(silent, { 'b\x00': '7' })
        await silent.close()
        const last = await harness.open()
        expect(sorted(await last.digest())).toEqual(sorted(digestOfRows(last.read().scan({ from: '' }))))
        await last.close()
      })

      it('are limited in number, share work where nothing changed, and end with the store', async () => {
        const harness = await make()
        const store = await harness.open({ digestsMax: 2 })
        put(store, { a: '1' })
        const first = store.digest()
        expect(store.digest() === first).toBe(true)
        put(store, { a: '2' })
        const second = store.digest()
        put(store, { a: '3' })
        expect(await rejectionOf(store.digest())).toBe('OVERLOADED')
        expect((await first).get('') === (await second).get('')).toBe(false)
        await store.digest()
        await store.close()
        expect(await rejectionOf(store.digest())).toBe('CLOSED')
        await harness.dispose()
      })
    })

    describe('the local range', () => {
      test('is durable, and no part of the content', async (store, harness) => {
        expect(store.local.get('id')).toBe(undefined)
        await Promise.all([store.local.put('id', bytes('1')), store.local.put('incarnation', bytes('7'))])
        await store.local.put('id', bytes('2'))
        expect(store.read().get('id')).toBe(undefined)
        expect(content(store.read())).toEqual([])
        const view = await store.openView({ deadlineMs: 1000 })
        expect(content(view)).toEqual([])
        expect(rows(view.scan({ from: '' }, { reverse: true }))).toEqual([])
        if (harness.crash) harness.crash(store)
        else await store.close()
        const again = await harness.open()
        expect(textOf(again.local.get('id'))).toBe('2')
        expect(textOf(again.local.get('incarnation'))).toBe('7')
        await again.close()
      })
    })

    test('refuses everything once closed, and closes twice', async (store, harness) => {
      put(store, { a: '1' })
      await Promise.all([store.close(), store.close()])
      expect(thrownBy(() => store.begin())).toBe('CLOSED')
      expect(thrownBy(() => store.read())).toBe('CLOSED')
      expect(thrownBy(() => store.local.get('a'))).toBe('CLOSED')
      expect(await rejectionOf(store.flush())).toBe('CLOSED')
      expect(await rejectionOf(store.openView({ deadlineMs: 1 }))).toBe('CLOSED')
      expect(await rejectionOf(store.local.put('a', bytes('')))).toBe('CLOSED')
      const again = await harness.open()
      expect(content(again.read())).toEqual(['a=1'])
      await again.close()
    })
  })
}

/** Choices from a seed, `steps` of them. */
export function seededChoices(seed: number, steps: number): Choices {
  let state = (seed * 0x9e37_79b9) >>> 0
  let left = steps
  return (below) => {
    if (left-- <= 0) return undefined
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

// Every commit writes its number under several keys, and under one that says which commit deleted the spare key: a state in
// which they differ is a commit in parts.
async function crashRound(make: () => Promise<StoreHarness>, choices: Choices): Promise<void> {
  const harness = await make()
  if (!harness.crash) return harness.dispose()
  let floor = 0
  let number = 0
  for (let life = 0; life < 4; life++) {
    const store = await harness.open({ layerKeysMax: 8, layerBytesMax: 100_000 })
    const found = ['a', 'm', 'z'].map((key) => Number(textOf(store.read().get(key)) ?? 0))
    if (new Set(found).size > 1) throw new Error(`a commit in parts: ${found.join()}`)
    if ((found[0] as number) < floor) throw new Error(`commit ${floor} was flushed, the store is at ${found[0]}`)
    number = found[0] as number
    const thisLife = life
    for (let steps = (choices(30) as number) + 1; steps > 0; steps--) {
      const choice = choices(6) as number
      if (choice < 4) {
        if (store.full) await store.whenWritable()
        number++
        put(store, { a: String(number), m: String(number), z: String(number), [`k${choice}`]: 'x' })
      } else if (choice === 4) await harness.turn()
      else {
        const covered = number
        const flushed = store.flush().then(() => {
          if (life === thisLife) floor = Math.max(floor, covered)
        })
        if (choices(2) === 0) await flushed
      }
    }
    harness.crash(store)
  }
  await harness.dispose()
}

function put(store: LocalStore, writes: Record<Key, string | undefined>): void {
  const tx = store.begin()
  for (const [key, value] of Object.entries(writes)) {
    if (value === undefined) tx.delete(key)
    else tx.put(key, bytes(value))
  }
  tx.commit()
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString('latin1')
}

function rows(scan: Iterable<readonly [Key, Uint8Array]>): string[] {
  return [...scan].map(([key, value]) => `${key}=${textOf(value)}`)
}

function sorted(digest: StoreDigest): string[] {
  return [...digest].map(([name, sum]) => `${name}=${sum}`).sort()
}

function content(reads: ReadTx): string[] {
  return rows(reads.scan({ from: '' }))
}

function thrownBy(action: () => unknown): string {
  try {
    action()
  } catch (thrown) {
    return nameOf(thrown)
  }
  return 'nothing'
}

function rejectionOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => 'nothing', nameOf)
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof DelosError) return thrown.code
  return thrown instanceof AssertionFailure ? 'AssertionFailure' : String(thrown)
}
