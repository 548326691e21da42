// The clients of all servers: transactions with reads and scans, retried at other servers when an answer is lost, migrations, and
// reads at every level. Every answer goes to the model. Not here: who dies when.

import { DelosError } from '../../../base/delos-error.ts'
import type { ScanRequest, TransactionRequest } from '../../../table/messages.ts'
import type { AnyTable } from '../../../table/schema/define-table.ts'
import { TableTransaction } from '../../../table/table-transaction.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { ProcessEnded } from '../lease/lease-server.ts'
import { evidenceIn, keyText, pageIn, shownRow, write } from './model-rows.ts'
import { type ModelTable, shapeOfModel } from './model-schema.ts'
import { definitionOf, SchemaDraws } from './schema-draws.ts'
import { shownData } from './tables-content.ts'
import { changedBy, type ModelState, type ModelTransaction, markOf, type TablesModel } from './tables-model.ts'
import type { TablesLife, TablesServer } from './tables-server.ts'

/** What the state of a random world may make of a call. */
const EXPECTED: ReadonlySet<string> = new Set([
  'INDETERMINATE',
  'CLOSED',
  'CONFLICT',
  'UNKNOWN_TABLE',
  'UNKNOWN_COLUMN',
  'INDEX_NOT_READY',
  'SCHEMA_FORBIDDEN',
  'SCHEMA_CHANGED',
  'WRONG_TYPE',
  'INVALID_ARGUMENT',
  'SNAPSHOT_GONE',
])
const RETRIES = 4

export interface TablesClientsOptions {
  readonly world: Simulation
  readonly model: TablesModel
  readonly servers: () => readonly TablesServer[]
  readonly operated: () => void
}

export class TablesClients {
  private readonly options: TablesClientsOptions
  private readonly draws: SchemaDraws
  private tokens = 0

  constructor(options: TablesClientsOptions) {
    this.options = options
    this.draws = new SchemaDraws(options.world.random.fork('draws'), () => options.world.clock.wallMs())
  }

  /** One call at this server. */
  async step(server: TablesServer): Promise<void> {
    const { random } = this.options.world
    const { life } = server
    if (life === undefined || !server.isUp) return
    const drawn = random.fraction()
    if (server.here().state.tables.size === 0 || drawn < 0.1) await this.migrate(server, life)
    else if (drawn < 0.4) await this.look(server, life)
    else await this.transact(server, life, drawn < 0.8)
  }

  // ── schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async migrate(server: TablesServer, life: TablesLife): Promise<void> {
    const { counters, random } = this.options.world
    const { draws } = this
    const { database, tables } = life
    const table = this.anyTable(server.here().state)
    if (table === undefined || random.chance(0.1)) {
      const name = draws.tableName()
      await this.call(life, 'createTable', () => tables.migrate(definitionOf(draws.shape(name))))
      return
    }
    if (random.chance(0.06)) {
      await this.call(life, 'dropTable', () => tables.schema.drop(table.name))
      return
    }
    const changes = draws.changes(table)
    const wanted = changedBy(table, changes)
    if (wanted !== undefined && random.chance(0.5)) {
      const rename = Object.fromEntries(
        changes.flatMap((change) => (change.kind === 'renameColumn' ? [[change.from, change.to]] : [])),
      )
      const drop = changes.flatMap((change) => (change.kind === 'dropColumn' ? [change.name] : []))
      const hints = { rename, drop, ...(wanted.name !== table.name && { renamedFrom: table.name }) }
      await this.call(life, 'migration', () => tables.migrate(definitionOf(shapeOfModel(wanted)), hints))
      return
    }
    const { name, version } = table
    const answer = await this.call(life, 'change', () => database.changeSchema({ table: name, version, changes }))
    if (answer !== undefined) counters.bump(`schema ${answer.kind}`)
  }

  // ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private async transact(server: TablesServer, life: TablesLife, withReads: boolean): Promise<void> {
    const { model, world } = this.options
    const { random } = world
    const { floor } = model
    const token = `t${this.tokens++}`
    const tx = new TableTransaction(life.database)
    const seen: ModelTransaction['seen'][number][] = []
    const marks = new Map<string, string>()
    if (withReads) {
      const read = await this.call(life, 'reads of a transaction', async () => {
        for (let i = random.pick([1, 1, 2]); i > 0; i--) await this.readIn(tx, server, seen, marks)
        return true
      })
      if (read === undefined) return
      // Others come in between.
      if (random.chance(0.7)) await world.sleep(random.fraction() * 20)
    }
    const { state } = server.here()
    const written = this.anyTable(state)
    if (written === undefined) return
    for (let i = random.pick([1, 1, 2, 4]); i > 0; i--) {
      tx.operations.push(this.draws.write(random.chance(0.8) ? written : (this.anyTable(state) as ModelTable)))
    }
    if (withReads && random.chance(0.3)) {
      const read = await this.call(life, 'own writes', () => this.readOwn(tx, server, written.name, seen, marks))
      if (read === undefined) return
    }
    const request = tx.request(token)
    model.begin({ token, floor, request, seen, marks })
    if (random.chance(0.1)) await Promise.all([this.send(life, request), this.send(life, request)])
    else if ((await this.send(life, request)) === 'lost') await this.again(request)
  }

  private async readIn(
    tx: TableTransaction,
    server: TablesServer,
    seen: ModelTransaction['seen'][number][],
    marks: Map<string, string>,
  ): Promise<void> {
    const { counters, random } = this.options.world
    const { state } = server.here()
    const table = this.anyTable(state)
    if (table === undefined) return
    const named = { name: table.name } as AnyTable
    // Two reads of one transaction under two schemas can't both be so still.
    const known = marks.get(table.name)
    marks.set(table.name, known === undefined || known === markOf(table) ? markOf(table) : 'two')
    if (random.chance(0.4)) {
      const key = this.draws.key(table)
      const { row, version } = await tx.read(named, key as never)
      const model = table.rows.get(keyText(table, key))
      const found = row === undefined ? 'none' : `${shownData(row)}@${version}`
      const expected = model === undefined ? 'none' : `${shownRow(table, model)}@${model.version}`
      check(found === expected, `a transaction read ${found} of ${table.name} instead of ${expected}`)
      return
    }
    const scan = this.draws.scan(table)
    const evidence = evidenceIn(table, scan)
    const expected = pageIn(table, scan).join(';')
    const { table: _, ...rest } = scan
    const { rows } = await tx.scan(named, rest as never)
    const found = rows.map((row) => shownData(row as never)).join(';')
    check(found === expected, `a transaction scanned ${found} of ${table.name} instead of ${expected}`)
    counters.bump(scan.index === undefined ? 'key scan' : 'index scan')
    seen.push({ scan, mark: markOf(table), evidence })
  }

  /** A scan over what the transaction has written. False if it will be rejected, or the table is another by now. */
  private async readOwn(
    tx: TableTransaction,
    server: TablesServer,
    name: string,
    seen: ModelTransaction['seen'][number][],
    marks: Map<string, string>,
  ): Promise<boolean> {
    const { state } = server.here()
    const table = state.tables.get(name)
    if (table === undefined) return false
    let after = table
    for (const operation of tx.operations) {
      if (operation.table !== name) return false
      const done = write(after, operation, 0, () => ({ endsAt: 0, endsMs: 0 }))
      if (typeof done === 'string') return false
      after = done.table
    }
    const known = marks.get(name)
    marks.set(name, known === undefined || known === markOf(table) ? markOf(table) : 'two')
    const { limit: _, ...scan } = this.draws.scan(table)
    const evidence = evidenceIn(table, scan)
    const expected = pageIn(after, scan).join(';')
    const { table: __, ...rest } = scan
    const { rows } = await tx.scan({ name } as AnyTable, rest as never)
    const found = rows.map((row) => shownData(row as never)).join(';')
    check(found === expected, `a transaction scanned ${found} of ${name} over its own writes instead of ${expected}`)
    this.options.world.counters.bump('own writes read')
    seen.push({ scan, mark: markOf(table), evidence })
    return true
  }

  /** The same transaction at any server, as long as nobody knows what became of it. */
  private async again(request: TransactionRequest): Promise<void> {
    const { servers, world } = this.options
    for (let left = RETRIES; left > 0; left--) {
      await world.sleep(world.random.fraction() * 100)
      const up = servers().filter(({ isUp }) => isUp)
      if (up.length === 0) continue
      world.counters.bump('asked again')
      if ((await this.send(world.random.pick(up).life as TablesLife, request)) !== 'lost') return
    }
  }

  private async send(life: TablesLife, request: TransactionRequest): Promise<'answered' | 'refused' | 'lost'> {
    const { model, world } = this.options
    let lost = true
    const answer = await this.call(
      life,
      'transaction',
      () => life.database.transact(request),
      (error) => {
        lost = error === undefined || error.code === 'INDETERMINATE'
      },
    )
    if (answer === undefined) return lost ? 'lost' : 'refused'
    world.counters.bump(`transaction ${answer.kind}`)
    model.acknowledged(answer.position)
    return 'answered'
  }

  // ── reads ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async look(server: TablesServer, life: TablesLife): Promise<void> {
    const { random } = this.options.world
    const table = this.anyTable(server.here().state)
    if (table === undefined) return
    const drawn = random.fraction()
    if (drawn < 0.4) await this.lookNow(server, life, table)
    else if (drawn < 0.5) await this.get(server, life, table)
    else if (drawn < 0.7) await this.session(server, life, table)
    else await this.lookBack(server, life, table)
  }

  /** Linearizable: what was applied anywhere before the call is there. */
  private async lookNow(server: TablesServer, life: TablesLife, table: ModelTable): Promise<void> {
    const { model } = this.options
    const from = model.states.length - 1
    await this.scanFrom(server, life, table, from, {})
  }

  private async session(server: TablesServer, life: TablesLife, table: ModelTable): Promise<void> {
    const { floor } = this.options.model
    await this.scanFrom(server, life, table, 0, { level: { session: floor } }, floor)
  }

  private async scanFrom(
    server: TablesServer,
    life: TablesLife,
    table: ModelTable,
    from: number,
    level: Pick<ScanRequest, 'level'>,
    floor = 0,
  ): Promise<void> {
    const { model, world } = this.options
    const scan = this.draws.scan(table)
    const answer = await this.call(life, 'scan', () => life.database.scan({ ...scan, ...level }))
    if (answer === undefined) return
    check(answer.position >= floor, `a read at ${answer.position}, though ${floor} was asked for`)
    const found = answer.rows.map(shownData).join(';')
    const shows = (state: ModelState): boolean => {
      const then = state.tables.get(table.name)
      return state.position === answer.position && then !== undefined && showsPage(then, scan, found)
    }
    const { moment } = server.here()
    check(
      model.states.slice(from, moment + 1).some(shows),
      `a scan of ${table.name} at ${answer.position} showed ${found}`,
    )
    world.counters.bump('read now')
  }

  private async get(server: TablesServer, life: TablesLife, table: ModelTable): Promise<void> {
    const { model } = this.options
    const key = this.draws.key(table)
    const from = model.states.length - 1
    const answer = await this.call(life, 'get', () => life.database.get({ table: table.name, key }))
    if (answer === undefined) return
    const found = answer.row === undefined ? 'none' : `${shownData(answer.row)}@${answer.version}`
    const shows = ({ tables }: ModelState): boolean => {
      const then = tables.get(table.name)
      const row = then?.rows.get(keyText(then, key))
      return then !== undefined && found === (row === undefined ? 'none' : `${shownRow(then, row)}@${row.version}`)
    }
    check(model.states.slice(from, server.here().moment + 1).some(shows), `a get of ${table.name} showed ${found}`)
  }

  /** All of a table as it was, page by page. */
  private async lookBack(server: TablesServer, life: TablesLife, { name }: ModelTable): Promise<void> {
    const { model, world } = this.options
    const { random } = world
    const position = Math.max(0, server.here().state.position - random.below(30))
    const before = server.here().state.tables.get(name) as ModelTable
    const { limit: _, ...scan } = this.draws.scan(before)
    const found: string[] = []
    let page: string | undefined
    let gone = false
    const isSame = (): boolean => markOf(server.here().state.tables.get(name)) === markOf(before)
    const refused = (error: DelosError | undefined): void => {
      gone ||= error?.code === 'SNAPSHOT_GONE'
    }
    do {
      const request = { ...scan, limit: 2, page, level: { snapshot: position } }
      const answer = await this.call(life, 'read of the past', () => life.database.scan(request), refused)
      if (gone && isSame()) check(position < before.namedAt, `${name} is gone at ${position}`)
      if (answer === undefined) return
      check(answer.position === position, `a read at ${answer.position} instead of ${position}`)
      found.push(...answer.rows.map(shownData))
      page = answer.page
    } while (page !== undefined)
    if (!isSame()) return
    check(position >= before.namedAt, `${name} has its name since ${before.namedAt}, and was read at ${position}`)
    const then = [...model.at(position).tables.values()].find(({ id }) => id === before.id)
    const expected = pageIn({ ...before, rows: then?.rows ?? new Map() }, scan)
    check(
      found.join(';') === expected.join(';'),
      `at ${position} ${name} was ${found.join(';')} instead of ${expected}`,
    )
    world.counters.bump('read of the past')
  }

  private anyTable({ tables }: ModelState): ModelTable | undefined {
    return tables.size === 0 ? undefined : this.options.world.random.pick([...tables.values()])
  }

  /** Undefined if it was refused, or the process died. `refused`: with what; undefined if it died. */
  private async call<T>(
    life: TablesLife,
    what: string,
    body: () => Promise<T>,
    refused: (error: DelosError | undefined) => void = () => undefined,
  ): Promise<T | undefined> {
    const { operated, world } = this.options
    try {
      return await Promise.race([body(), life.ended])
    } catch (error) {
      if (error instanceof ProcessEnded) {
        refused(undefined)
        return undefined
      }
      if (!(error instanceof DelosError)) throw error
      refused(error)
      world.counters.bump(`${what} refused: ${error.code}`)
      if (!error.retryable && !EXPECTED.has(error.code)) throw error
      await world.sleep(world.random.fraction() * 10)
      return undefined
    } finally {
      operated()
    }
  }
}

/** Does the table show these rows? What a page of an older schema asked for may not be there. */
function showsPage(table: ModelTable, scan: ScanRequest, found: string): boolean {
  const names = new Set(table.columns.map(({ name }) => name))
  const wanted = [...(scan.select ?? []), ...Object.keys(scan.prefix ?? {}), ...Object.keys(scan.filter ?? {})]
  if (!wanted.every((name) => names.has(name))) return false
  if (scan.index !== undefined && !table.indexes.some(({ name, state }) => name === scan.index && state === 'ready')) {
    return false
  }
  return pageIn(table, scan).join(';') === found
}
