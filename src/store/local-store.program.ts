// Random programs against a LocalStore, checked step by step against a plain sorted map: the definition of right that the
// conformance suite uses. It knows nothing of test frameworks: it throws where store and model differ.

import { assert } from '../base/assert.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type {
  KeyRange,
  LocalStore,
  ReadTx,
  Row,
  Savepoint,
  StoreDigest,
  StoreView,
  Transaction,
} from './local-store.ts'
import { createRowHasher, digestKeyOf } from './row-hash.ts'
import type { StoreOptions } from './store-core.ts'

/** A disk with at most one store open on it, as a test sees it. */
export interface StoreHarness {
  /** Opens a store on what the disk holds: nothing at first. */
  open(options?: StoreOptions): Promise<LocalStore>
  /** Lets time pass for the deadlines of views. */
  advance(ms: number): void
  /** Resolves in a later turn of the event loop. */
  turn(): Promise<void>
  /** The machine of `store` dies; `open` then finds what its disk kept. Absent if the harness can't do that. */
  readonly crash?: (store: LocalStore) => void
  /** Removes everything. */
  dispose(): Promise<void>
}

/** A source of choices: an integer in [0, below). Undefined ends the program. */
export type Choices = (below: number) => number | undefined

/** Small limits, so that pushes happen all the time. */
const SMALL: StoreOptions = { layerKeysMax: 24, layerBytesMax: 8192, viewsMax: 3 }

type Content = Map<Key, string>

/** Runs until `choices` ends. Throws AssertionFailure at the first difference. */
export async function runStoreProgram(harness: StoreHarness, choices: Choices): Promise<void> {
  const run = new ProgramRun(harness, choices)
  await run.start()
  while (await run.step());
  await run.finish()
}

/** What LocalStore.digest must answer for these rows: the definition, without anything that is kept. */
export function digestOfRows(rows: Iterable<Row>, digestKey?: Uint8Array): StoreDigest {
  const hash = createRowHasher(digestKeyOf(digestKey))
  const lanes = new Uint32Array(4)
  const sums = new Map<string, bigint>()
  for (const [key, value] of rows) {
    hash(Buffer.from(key, 'utf8'), value, lanes)
    const hashed = lanes.reduceRight((number, lane) => (number << 32n) | BigInt(lane), 0n)
    const name = key.includes('\x00') ? key.slice(0, key.indexOf('\x00')) : ''
    sums.set(name, BigInt.asUintN(128, (sums.get(name) ?? 0n) + hashed))
  }
  return new Map([...sums].map(([name, sum]) => [name, sum.toString(16).padStart(32, '0')]))
}

class EndOfChoices extends Error {}

class ProgramRun {
  private readonly harness: StoreHarness
  private readonly choices: Choices
  private store!: LocalStore
  private tx: Transaction | undefined
  /** Content after each commit of this life of the store; `committed[0]` is what it opened with. */
  private committed: Content[] = [new Map()]
  /** Index into `committed` that a resolved flush covers. */
  private durable = 0
  private life = 0
  private draft: Content = new Map()
  private savepoints: { readonly savepoint: Savepoint; readonly draft: Content }[] = []
  private views: { readonly view: StoreView; readonly content: Content }[] = []
  private serial = 0
  /** Of a check that nobody waited for. */
  private failure: unknown

  constructor(harness: StoreHarness, choices: Choices) {
    this.harness = harness
    this.choices = choices
  }

  async start(): Promise<void> {
    this.store = await this.harness.open(SMALL)
  }

  async step(): Promise<boolean> {
    try {
      if (this.failure !== undefined) throw this.failure
      const choice = this.choose(43)
      if (choice < 22) await this.inTransaction(choice)
      else await this.outside(choice)
      return true
    } catch (thrown) {
      if (thrown instanceof EndOfChoices) return false
      throw thrown
    }
  }

  async finish(): Promise<void> {
    this.endTransaction()
    await this.checkDigest()
    await this.store.flush()
    await this.reopen()
    await this.checkDigest()
    await this.store.close()
    if (this.failure !== undefined) throw this.failure
  }

  private get current(): Content {
    return this.committed[this.committed.length - 1] as Content
  }

  private choose(below: number): number {
    const choice = this.choices(below)
    if (choice === undefined) throw new EndOfChoices()
    return choice
  }

  private async inTransaction(choice: number): Promise<void> {
    if (!this.tx) {
      if (this.store.full) await this.store.whenWritable()
      assert(!this.store.full, 'the store is writable when whenWritable has resolved')
      this.tx = this.store.begin()
      this.draft = new Map(this.current)
    }
    const { tx } = this
    if (choice < 9) this.put(tx, this.draft)
    else if (choice < 12) this.remove(tx, this.draft)
    else if (choice < 14) this.savepoints.push({ savepoint: tx.savepoint(), draft: new Map(this.draft) })
    else if (choice === 14) this.rollback(tx)
    else if (choice < 17) this.checkReads(tx, this.draft)
    else if (choice === 17) this.changeDuringScan(tx)
    else if (choice < 21) this.commit(tx)
    else this.endTransaction()
  }

  private async outside(choice: number): Promise<void> {
    if (choice < 26) this.checkReads(this.store.read(), this.current)
    else if (choice < 29) this.flushLater()
    else if (choice < 31) await this.flushNow()
    else if (choice < 34) await this.harness.turn()
    else if (choice === 34) await this.openView()
    else if (choice < 38) this.checkViews()
    else if (choice === 38) await this.reopen()
    else if (choice === 39) await this.crash()
    else if (choice < 42) void this.checkDigest()
    else await this.checkDigest()
  }

  private key(): Key {
    // Few enough to meet again, with shared prefixes, an empty key, zero bytes and high bytes.
    const base = ['', 'a', 'a\x00', 'ab', 'b/', 'b/\x00', '\x7f', '\x80', '\xc3\xa9', '\xff'][this.choose(10)] as string
    const tail = this.choose(12)
    return tail === 0 ? base : base + String.fromCharCode(tail * 21)
  }

  private put(tx: Transaction, draft: Content): void {
    const key = this.key()
    const length = [0, 1, 20, 700][this.choose(4)] as number
    const value = `${this.serial++}:`.padEnd(length, '.').slice(0, Math.max(length, 0))
    tx.put(key, Buffer.from(value))
    draft.set(key, value)
  }

  private remove(tx: Transaction, draft: Content): void {
    const key = this.key()
    tx.delete(key)
    draft.delete(key)
  }

  private rollback(tx: Transaction): void {
    if (this.savepoints.length === 0) return
    const kept = this.choose(this.savepoints.length)
    const { savepoint, draft } = this.savepoints[kept] as { savepoint: Savepoint; draft: Content }
    this.savepoints.length = kept + 1
    tx.rollbackTo(savepoint)
    this.draft = new Map(draft)
  }

  private commit(tx: Transaction): void {
    tx.commit()
    this.committed.push(this.draft)
    this.tx = undefined
    this.savepoints = []
  }

  private endTransaction(): void {
    this.tx?.abort()
    this.tx = undefined
    this.savepoints = []
  }

  private range(): KeyRange {
    const from = this.key()
    return this.choose(3) === 0 ? { from } : { from, to: this.key() }
  }

  private checkReads(reads: ReadTx, content: Content): void {
    const keys = [this.key(), this.key(), this.key()]
    same(textOf(reads.get(keys[0] as Key)), content.get(keys[0] as Key), 'get')
    const many = reads.getMany(keys)
    keys.forEach((key, i) => {
      same(textOf(many[i]), content.get(key), 'getMany')
    })
    const range = this.range()
    const reverse = this.choose(2) === 1
    const limit = this.choose(8)
    const options = limit === 0 ? { reverse } : { reverse, limit: limit - 1 }
    const expected = rowsOf(content, range, reverse).slice(0, options.limit ?? Number.POSITIVE_INFINITY)
    same([...reads.scan(range, options)].map(textRow), expected, `scan ${JSON.stringify({ range, ...options })}`)
  }

  // The scan must go on as if each step looked at the map as it is then.
  private changeDuringScan(tx: Transaction): void {
    const range = this.range()
    const reverse = this.choose(2) === 1
    let last: Key | undefined
    for (const row of tx.scan(range, { reverse })) {
      same(textRow(row), nextRow(this.draft, range, reverse, last), 'a row of a scan with writes between its steps')
      last = row[0]
      if (this.choose(3) === 0) this.put(tx, this.draft)
      if (this.choose(3) === 0) this.remove(tx, this.draft)
    }
    same(nextRow(this.draft, range, reverse, last), undefined, 'the end of a scan with writes between its steps')
  }

  private flushLater(): void {
    const { life } = this
    const upTo = this.committed.length - 1
    void this.store.flush().then(() => {
      if (life === this.life) this.durable = Math.max(this.durable, upTo)
    })
  }

  private async flushNow(): Promise<void> {
    const upTo = this.committed.length - 1
    await this.store.flush()
    this.durable = Math.max(this.durable, upTo)
  }

  private async checkDigest(): Promise<void> {
    const { life } = this
    const rows = rowsOf(this.current, { from: '' }, false)
    const expected = digestOfRows(rows.map(([key, value]) => [key, Buffer.from(value)]))
    try {
      const digest = await this.store.digest()
      if (life === this.life) same([...digest].sort(), [...expected].sort(), 'a digest')
    } catch (thrown) {
      // Many may wait, and some still do when the store is closed.
      if (!(thrown instanceof DelosError && ['OVERLOADED', 'CLOSED'].includes(thrown.code))) this.failure ??= thrown
    }
  }

  private async openView(): Promise<void> {
    if (this.views.length === 3) this.views.shift()?.view.close()
    const view = await this.store.openView({ deadlineMs: 60_000 })
    this.views.push({ view, content: this.current })
  }

  private checkViews(): void {
    for (const { view, content } of this.views) this.checkReads(view, content)
  }

  private startLife(content: Content): void {
    this.life++
    this.committed = [content]
    this.durable = 0
    this.views = []
    this.tx = undefined
    this.savepoints = []
  }

  private async reopen(): Promise<void> {
    this.endTransaction()
    const content = this.current
    await this.store.close()
    this.startLife(content)
    this.store = await this.harness.open(SMALL)
    same(
      [...this.store.read().scan({ from: '' })].map(textRow),
      rowsOf(content, { from: '' }, false),
      'after reopening',
    )
  }

  private async crash(): Promise<void> {
    if (!this.harness.crash) return
    if (this.choose(3) > 0) {
      // Most often with a push under way.
      this.flushLater()
      for (let turns = this.choose(4); turns > 0; turns--) await this.harness.turn()
    }
    this.harness.crash(this.store)
    this.life++
    this.store = await this.harness.open(SMALL)
    const found = JSON.stringify([...this.store.read().scan({ from: '' })].map(textRow))
    const possible = this.committed.slice(this.durable)
    const kept = possible.find((content) => JSON.stringify(rowsOf(content, { from: '' }, false)) === found)
    assert(
      kept !== undefined,
      `after a crash the store holds no state of the last ${possible.length} commits: ${found}`,
    )
    this.startLife(kept)
  }
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString('latin1')
}

function textRow(row: Row): [Key, string] {
  return [row[0], textOf(row[1]) as string]
}

function rowsOf(content: Content, range: KeyRange, reverse: boolean): [Key, string][] {
  const { from, to } = range
  const rows = [...content].filter(([key]) => key >= from && (to === undefined || key < to))
  rows.sort(([a], [b]) => (a < b === reverse ? 1 : -1))
  return rows
}

function nextRow(
  content: Content,
  range: KeyRange,
  reverse: boolean,
  last: Key | undefined,
): [Key, string] | undefined {
  return rowsOf(content, range, reverse).find(([key]) => last === undefined || (reverse ? key < last : key > last))
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  assert(found === wanted, `${what}: the store has ${found}, the model ${wanted}`)
}
