// Clients of DelosTable: writes, transactions with reads and scans, retries with one token, migrations, reads of now and of the
// past, at once, in all lives of the server. Every answer, and every entry that is applied, goes to the model.

import { ByteReader } from '../../../base/byte-reader.ts'
import { DelosError } from '../../../base/delos-error.ts'
import type { Entry } from '../../../engine/entry.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../../store/local-store.ts'
import { ENTRY_KINDS } from '../../../table/codec/transaction-codec.ts'
import type { TransactionAnswer } from '../../../table/messages.ts'
import { int64, string } from '../../../table/schema/columns.ts'
import { defineTable } from '../../../table/schema/define-table.ts'
import { TableApplicator, type TableResult } from '../../../table/table-applicator.ts'
import { TableDatabase } from '../../../table/table-database.ts'
import { TableTransaction } from '../../../table/table-transaction.ts'
import { Tables } from '../../../table/tables.ts'
import { plantedLog, plantedTx } from '../../planted-table.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ActorEnds } from '../actors.ts'
import { ANSWER_MS, type Application, type Client } from '../stack/stack-run.ts'
import type { StackLife } from '../stack/stack-server.ts'
import { checkContent } from './table-content.ts'
import { keyOf, type ModelRange, type ModelState, type ModelWrite, seenIn, TableModel } from './table-model.ts'

const columns = { group: string(), id: int64(), value: int64(), tag: string().nullable() }
const byTag = { columns: ['tag'], unique: true } as const
const key = ['group', 'id'] as const
/** The same table with and without what migrations add. */
const ITEMS = defineTable({ name: 'items', columns, key, indexes: { byTag, byValue: { columns: ['value'] } } })
const DEFINITIONS = [
  ITEMS,
  defineTable({ name: 'items', columns, key, indexes: { byTag, byValue: { columns: ['value'], include: ['tag'] } } }),
  defineTable({ name: 'items', columns: { ...columns, extra: string().default('x') }, key, indexes: { byTag } }),
]
const GROUPS = ['a', 'b', 'c']
const IDS = 6
const VALUES = 4

export class TableClients implements Application<TableResult> {
  readonly database = 'table'
  private readonly world: Simulation
  private readonly model = new TableModel()
  private current:
    | { readonly life: StackLife<TableResult>; readonly database: TableDatabase; readonly tables: Tables }
    | undefined
  private applicatorOfLife: TableApplicator | undefined
  private tokens = 0

  constructor(world: Simulation) {
    this.world = world
  }

  applicator(own: boolean, timers: TimerService | undefined): TableApplicator {
    const applicator = new WatchedTables(this.world, this.model)
    if (timers !== undefined) applicator.useTimers(timers)
    if (own) this.applicatorOfLife = applicator
    return applicator
  }

  opened(life: StackLife<TableResult>): void {
    const { clock, random, timers } = life.runtime
    const runtime = { clock, random, timers }
    const database = new TableDatabase({
      runtime,
      applicator: this.applicatorOfLife as TableApplicator,
      log: plantedLog(life.stack, this.world.planted),
      store: life.stack,
    })
    this.current = { life, database, tables: new Tables(database, runtime) }
    life.runtime.life.onEnd(() => database.stopServing())
  }

  closing(): void {
    this.current?.database.stopServing()
  }

  content(store: ReadTx): void {
    checkContent(store, this.model)
  }

  async serve(client: Client<TableResult>, load: 'heavy' | 'light'): Promise<void> {
    const { actors } = client
    const { random } = this.world
    this.current?.database.startServing()
    await this.call(client, 'migrate', () => this.tables.migrate(ITEMS, { drop: ['extra'] }))
    if (load === 'light') {
      for (let i = 0; i < 10; i++) await this.step(client)
      return
    }
    for (let i = random.pick([1, 3, 8, 20]); i > 0; i--) {
      actors.repeat(async () => {
        if (client.isQuiet()) await actors.pause(20)
        else await this.step(client)
        if (random.chance(0.3)) await actors.pause(random.fraction() * 5)
      })
    }
  }

  private get tables(): Tables {
    return (this.current as NonNullable<typeof this.current>).tables
  }

  private get served(): TableDatabase {
    return (this.current as NonNullable<typeof this.current>).database
  }

  private async step(client: Client<TableResult>): Promise<void> {
    const drawn = this.world.random.fraction()
    try {
      if (drawn < 0.03) await this.migrate(client)
      else if (drawn < 0.2) await this.look(client)
      else await this.transact(client, drawn < 0.6)
    } catch (error) {
      // An orderly end came between two calls.
      throw error instanceof DelosError && error.code === 'CLOSED' ? new ActorEnds() : error
    }
  }

  private async migrate(client: Client<TableResult>): Promise<void> {
    const wanted = this.world.random.pick(DEFINITIONS)
    await this.call(client, 'migration', () => this.tables.migrate(wanted, { drop: ['extra'] }))
  }

  private async transact(client: Client<TableResult>, withReads: boolean): Promise<void> {
    const { random } = this.world
    const { floor } = this.model
    const schema = this.served.table('items').version
    const token = `t${this.tokens++}`
    const tx = new TableTransaction(this.served)
    const reads: { key: string; version: number }[] = []
    const ranges: ModelRange[] = []
    if (withReads) {
      const done = await this.call(client, 'reads', async () => {
        const at = { group: random.pick(GROUPS), id: BigInt(random.below(IDS)) }
        const { version } = await tx.read(ITEMS, at)
        reads.push({ key: keyOf(at), version })
        if (random.chance(0.6)) ranges.push(await this.scan(tx))
      })
      if (!done) return
      // Others come in between.
      if (random.chance(0.7)) await client.actors.pause(random.fraction() * 4)
    }
    const writes = Array.from({ length: random.pick([1, 1, 2, 4]) }, () => this.write())
    for (const write of writes) addWrite(tx, write)
    this.model.begin({ token, reads, ranges, writes, floor, schema })
    const request = tx.request(token)
    const tries = random.chance(0.15) ? 2 : 1
    await Promise.all(
      Array.from({ length: tries }, () =>
        this.call(client, 'transaction', async () => this.answered(await this.served.transact(request))),
      ),
    )
  }

  private answered(answer: TransactionAnswer): void {
    this.world.counters.bump(`transaction ${answer.kind}`)
    this.model.acknowledged(answer.position)
  }

  /** The scan looks in the section of its call: the model is asked for the state of then. */
  private async scan(tx: TableTransaction): Promise<ModelRange> {
    const { random } = this.world
    const table = this.served.table('items')
    const index = table.indexes.find(({ descriptor }) => descriptor.name === 'byValue' && descriptor.state === 'ready')
    const state = this.stateHere()
    if (index === undefined || random.chance(0.5)) {
      const by = { group: random.pick(GROUPS) }
      const { rows } = await tx.scan(ITEMS, { prefix: by })
      return seen(state, { by, keysOnly: false }, rows.map(keyOf))
    }
    const by = { value: BigInt(random.below(VALUES)) }
    // With what it includes the index has every column there is.
    const keysOnly = index.descriptor.include.length > 0
    this.world.counters.bump(keysOnly ? 'covered scan' : 'index scan')
    const scan = { index: 'byValue', prefix: by } as const
    const { rows } = await tx.scan(ITEMS, scan)
    return seen(state, { by, keysOnly }, rows.map(keyOf))
  }

  private stateHere(): ModelState {
    return this.model.states[this.served.position] as ModelState
  }

  private write(): ModelWrite {
    const { random } = this.world
    const at = { group: random.pick(GROUPS), id: BigInt(random.below(IDS)) }
    const drawn = random.fraction()
    if (drawn < 0.2) return { op: 'delete', key: keyOf(at) }
    if (drawn < 0.5) {
      const write = { op: 'increment', key: keyOf(at), by: BigInt(random.below(3)) - 1n } as const
      const version = this.stateHere().get(keyOf(at))?.version
      return version !== undefined && random.chance(0.3) ? { ...write, version } : write
    }
    const tag = random.chance(0.4) ? `tag${random.below(8)}` : null
    return { op: random.chance(0.5) ? 'insert' : 'upsert', row: { ...at, value: BigInt(random.below(VALUES)), tag } }
  }

  /** Reads of now, linearizable, and of the past. */
  private async look(client: Client<TableResult>): Promise<void> {
    const { random } = this.world
    const { floor } = this.model
    const past = random.chance(0.4) ? Math.max(0, floor - random.below(20)) : undefined
    const level = past === undefined ? ('linearizable' as const) : { snapshot: past }
    await this.call(client, 'scan', async () => {
      const { position: at, rows } = await this.tables.scan(ITEMS, { reverse: random.chance(0.3) }, { level })
      check(past === undefined ? at >= floor : at === past, `a read at ${at}, though ${past ?? floor} was asked for`)
      const page = rows.map(keyOf).toSorted().join()
      const expected = [...(this.model.states[at] as ModelState).keys()].toSorted().join()
      check(page === expected, `at ${at} a scan showed ${page} instead of ${expected}`)
      this.world.counters.bump(past === undefined ? 'read now' : 'read of the past')
    })
  }

  /** False if it was refused. */
  private async call(client: Client<TableResult>, what: string, body: () => Promise<unknown>): Promise<boolean> {
    const { actors } = client
    try {
      await actors.answer(`a ${what}`, ANSWER_MS, body())
      client.operated()
      return true
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      client.operated()
      this.world.counters.bump(`${what} refused: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      const expected = ['INDETERMINATE', 'SNAPSHOT_GONE', 'SCHEMA_FORBIDDEN', 'UNKNOWN_COLUMN', 'UNKNOWN_TABLE']
      if (!error.retryable && !expected.includes(error.code)) throw error
      await actors.pause(this.world.random.fraction() * 10)
      return false
    }
  }
}

function seen(state: ModelState, range: Pick<ModelRange, 'by' | 'keysOnly'>, keys: readonly string[]): ModelRange {
  const shown = seenIn(state, range)
  const expected = shown === '' ? [] : shown.split(',').map((one) => one.split(/[@:]/)[0])
  check(expected.join() === keys.join(), `a scan showed ${keys.join()} instead of ${expected.join()}`)
  return { ...range, seen: shown }
}

function addWrite(tx: TableTransaction, write: ModelWrite): void {
  const { operations } = tx
  switch (write.op) {
    case 'insert':
    case 'upsert':
      operations.push({ op: write.op, table: 'items', row: { ...write.row } })
      return
    case 'delete':
      operations.push({ op: 'delete', table: 'items', key: partsOf(write.key) })
      return
    case 'increment': {
      const { by, key, version } = write
      const condition = version === undefined ? {} : { if: { version } }
      const patch = { increment: { value: by } }
      operations.push({ op: 'update', table: 'items', key: partsOf(key), patch, ...condition })
    }
  }
}

function partsOf(key: string): { readonly group: string; readonly id: bigint } {
  const [group, id] = key.split('/') as [string, string]
  return { group, id: BigInt(id) }
}

/** Tells the model of every transaction in the order of the log. */
class WatchedTables extends TableApplicator {
  private readonly world: Simulation
  private readonly model: TableModel

  constructor(world: Simulation, model: TableModel) {
    super({ rowsMax: 8, bytesMax: 1 << 20 })
    this.world = world
    this.model = model
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): TableResult {
    return super.apply(plantedTx(tx, this.world.planted), entry, pos)
  }

  override postApply(entry: Entry, pos: LogPos, result: TableResult): void {
    const payload = entry.payload as Uint8Array
    if (payload[1] === ENTRY_KINDS.transaction && result !== undefined && result.kind !== 'schema') {
      const reader = new ByteReader(payload, 2)
      reader.varint()
      const { kind, position } = result as { kind: string; position: number }
      this.model.applied(`${pos}.${entry.index}`, reader.string(), kind, position)
    }
    if (result?.kind === 'changed') this.model.migrated(`${pos}.${entry.index}`, result.table?.version ?? 0)
    super.postApply()
  }
}
