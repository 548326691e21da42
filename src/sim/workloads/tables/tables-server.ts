// One server of DelosTable over the hostile log of all: a machine whose store outlives its processes, and per process a stack, an
// applicator that tells the model what it applies, and the database. Not here: when it dies, and what is right.

import { ByteReader } from '../../../base/byte-reader.ts'
import type { Entry } from '../../../engine/entry.ts'
import { Stack } from '../../../engine/stack.ts'
import { BaseEngine } from '../../../engines/base-engine/base-engine.ts'
import { loadCursor } from '../../../engines/base-engine/cursor.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { timeEngine } from '../../../engines/time/time-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import type { VirtualLog } from '../../../log/virtual-log.ts'
import type { ReadWriteTx } from '../../../store/local-store.ts'
import type { MemoryStore } from '../../../store/memory-store.ts'
import type { StoreBackend } from '../../../store/store-backend.ts'
import { fromTaggedJson } from '../../../table/codec/tagged-json.ts'
import { ENTRY_KINDS } from '../../../table/codec/transaction-codec.ts'
import type { SchemaAnswer, SchemaRequest } from '../../../table/messages.ts'
import { TableApplicator, type TableResult } from '../../../table/table-applicator.ts'
import { TableDatabase } from '../../../table/table-database.ts'
import { Tables } from '../../../table/tables.ts'
import { PlantedTables } from '../../planted-table.ts'
import type { SimServer } from '../../sim-server.ts'
import type { Simulation } from '../../simulation.ts'
import { fixedMembership } from '../engines/engine-plan.ts'
import type { HostileService } from '../engines/hostile-service.ts'
import { Pause } from '../engines/pause.ts'
import { ProcessEnded } from '../lease/lease-server.ts'
import { StackMachine } from '../stack-machine.ts'
import type { ModelState, TablesModel } from './tables-model.ts'

/** Rows of one step of background work: so few that a build takes several. */
export const STEP_ROWS = 3

/** Rows of a turn of a scan: so few that most take several. */
const PIECE_ROWS = 3

/** So few that what a read of the past holds does not reach to the end of a table. */
const LIMITS = { snapshotBytesMax: 700 }

const BASE_LIMITS = {
  proposalDeadlineMs: 3_000,
  indeterminateMs: 300,
  syncDeadlineMs: 5_000,
  retryMs: 5,
  flushMs: 60,
}

export interface TablesLife {
  readonly stack: Stack<TableResult>
  readonly store: MemoryStore
  readonly log: VirtualLog
  readonly database: TableDatabase
  readonly tables: Tables
  readonly pause: Pause
  readonly ended: Promise<never>
}

export interface TablesServerOptions {
  readonly world: Simulation
  readonly service: HostileService
  readonly model: TablesModel
  readonly name: string
  readonly names: readonly string[]
  /** Called with what is wrong; inside of apply nobody else would hear of it. */
  readonly fail: (error: unknown) => void
}

export class TablesServer {
  readonly name: string
  readonly machine: SimServer
  life: TablesLife | undefined
  private readonly under: StackMachine
  private readonly options: TablesServerOptions
  private readonly batchCountMax: number

  constructor(options: TablesServerOptions) {
    const { name, service, world } = options
    this.options = options
    this.name = name
    this.batchCountMax = world.random.fork(`batches ${name}`).pick([1, 3, 20])
    this.under = new StackMachine(world, service, name)
    this.machine = this.under.machine
  }

  get isUp(): boolean {
    const { life } = this
    return life !== undefined && !life.pause.paused && life.stack.status().state === 'serving'
  }

  /** Resolves once it serves. */
  async start(): Promise<TablesLife> {
    const { model, names, world } = this.options
    const runtime = this.machine.boot()
    const { clock, life, random } = runtime
    const pause = new Pause(life)
    const timers = pause.timers(runtime.timers)
    const wrap = (backend: StoreBackend): StoreBackend => pause.backend(backend)
    const store = this.under.openStore(runtime, timers, { layerKeysMax: 300, wrap })
    const ended = new Promise<never>((_, reject) => life.onEnd(() => reject(new ProcessEnded())))
    ended.catch(() => undefined)
    life.onEnd(() => {
      this.life = undefined
    })
    const log = await this.under.openLog(runtime, runtime.timers)
    const stack = new Stack<TableResult>({
      serverId: this.name,
      bottom: new BaseEngine({
        serverId: this.name,
        log: pause.log(log, () => undefined),
        store,
        clock,
        timers,
        limits: BASE_LIMITS,
      }),
      engines: [batchingEngine({ batchCountMax: this.batchCountMax }), timeEngine({ tickMs: 50 })],
      clock,
      timers,
      random,
      database: 'table',
      membership: (levels) => fixedMembership(names, levels),
    })
    const planted = new PlantedTables(world.planted, clock)
    const applicator = new ToldTables(planted, model, this.options.fail)
    if (stack.timerService !== undefined) applicator.useTimers(stack.timerService)
    // A server that joins plays the log from its beginning.
    stack.attach(applicator, { keepsLog: true })
    await Promise.race([stack.start(), ended])
    const given = { clock, random, timers }
    const database = new TableDatabase({
      runtime: given,
      applicator,
      log: planted.log(stack),
      store: stack,
      limits: LIMITS,
      pieceRows: PIECE_ROWS,
    })
    life.onEnd(() => database.stopServing())
    const tables = new Tables(database, given)
    this.life = { stack, store, log, database, tables, pause, ended }
    await Promise.race([stack.whenServing(), ended])
    database.startServing()
    return this.life
  }

  /** What this server has, as the model knows it. */
  here(): { readonly moment: number; readonly state: ModelState } {
    const { life } = this
    return this.options.model.before(life === undefined ? 0 : loadCursor(life.store.read()))
  }

  end(): void {
    this.under.end()
  }
}

/** Tells the model of everything in the order of the log. */
class ToldTables extends TableApplicator {
  private readonly planted: PlantedTables
  private readonly model: TablesModel
  private readonly fail: (error: unknown) => void
  /** By place: where a tick has led. */
  private readonly ticks = new Map<string, number>()

  constructor(planted: PlantedTables, model: TablesModel, fail: (error: unknown) => void) {
    super({ rowsMax: 8, bytesMax: 1 << 20 }, { stepRows: STEP_ROWS })
    this.planted = planted
    this.model = model
    this.fail = fail
  }

  override apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): TableResult {
    const result = this.planted.apply(tx, entry, (planted, changed) => super.apply(planted, changed, pos))
    if (entry.payload?.[1] === ENTRY_KINDS.tick) this.ticks.set(placeOf(entry, pos), this.state.counters.position)
    return result
  }

  override postApply(entry: Entry, pos: LogPos, result: TableResult): void {
    super.postApply()
    try {
      this.tell(entry, pos, result)
    } catch (error) {
      this.fail(error)
    }
  }

  private tell(entry: Entry, pos: LogPos, result: TableResult): void {
    const { model } = this
    const payload = entry.payload as Uint8Array
    const place = placeOf(entry, pos)
    const reader = new ByteReader(payload, 2)
    model.reach(pos)
    switch (payload[1]) {
      case ENTRY_KINDS.transaction: {
        const wallMs = reader.varint()
        const token = reader.string()
        const outcome = outcomeOf(result)
        if (outcome !== undefined) model.applied(place, token, outcome.text, outcome.position, wallMs)
        return
      }
      case ENTRY_KINDS.schema: {
        const { kind, ...rest } = result as SchemaAnswer
        const id = 'table' in rest ? rest.table?.id : undefined
        model.schemaChanged(place, fromTaggedJson(reader.string()) as SchemaRequest, kind, id)
        return
      }
      case ENTRY_KINDS.step:
        if (reader.u8() === 1) model.stepped(place, reader.varint(), reader.varint(), reader.key())
        return
      default:
        model.ticked(place, this.ticks.get(place) as number)
        this.ticks.delete(place)
    }
  }
}

function placeOf(entry: Entry, pos: LogPos): string {
  return `${pos}.${entry.index}`
}

function outcomeOf(result: TableResult): { readonly text: string; readonly position: number } | undefined {
  if (result === undefined || !('position' in result)) return undefined
  const { kind, position } = result
  if (kind === 'schema' || kind === 'changed') return undefined
  if (kind !== 'rejected') return { text: kind, position }
  const { index, operation, reason } = result
  return { text: `rejected ${operation} ${reason}${index === undefined ? '' : ` ${index}`}`, position }
}
