// For tests of Time: a database that arms timers and notes what fires, on servers in virtual time over one memory log. The log
// of a server can go away or refuse, and its event loop can stand still.

import { DelosError } from '../../src/base/delos-error.ts'
import type { Applicator } from '../../src/engine/engine.ts'
import { controlEntry, type Entry } from '../../src/engine/entry.ts'
import { type EngineFactory, Stack } from '../../src/engine/stack.ts'
import type { TimerService } from '../../src/engine/timer-service.ts'
import { BaseEngine } from '../../src/engines/base-engine/base-engine.ts'
import { batchingEngine } from '../../src/engines/batching-engine.ts'
import { encodeTimeHeader, type TimeHeader } from '../../src/engines/time/time-header.ts'
import type { LogPos } from '../../src/log/position.ts'
import type { AppendOutcome, SharedLog } from '../../src/log/shared-log.ts'
import { VirtualLog } from '../../src/log/virtual-log.ts'
import { MemoryLogletProvider } from '../../src/loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../src/metastores/memory/memory-metastore.ts'
import type { Timers } from '../../src/runtime/runtime.ts'
import type { Simulation } from '../../src/sim/simulation.ts'
import type { ReadTx, ReadWriteTx } from '../../src/store/local-store.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from '../../src/store/memory-store.ts'
import { subStorePrefix } from '../../src/store/sub-store.ts'

const PREFIX = subStorePrefix('alarms')
const VIEW = `${PREFIX}view`

/** What the database is told. Any other payload is what a timer brought. */
export type Command =
  | { readonly do: 'arm'; readonly id: string; readonly ms: number; readonly text?: string }
  | { readonly do: 'cancel'; readonly id: string }
  | { readonly do: 'view'; readonly members: readonly string[] }
  /** Arms, and takes it back by a savepoint. */
  | { readonly do: 'try'; readonly id: string; readonly ms: number }

/** Something that fired: where and, in true time, when. */
export interface Rang {
  readonly text: string
  readonly pos: LogPos
  readonly index: number
  readonly atMs: number
}

class Alarms implements Applicator<string> {
  readonly rang: Rang[] = []
  readonly switches: boolean[] = []
  private readonly timers: TimerService
  private readonly nowMs: () => number

  constructor(timers: TimerService, nowMs: () => number) {
    this.timers = timers
    this.nowMs = nowMs
    timers.onSwitched((tx, enabled) => {
      this.switches.push(enabled)
      if (enabled) timers.arm(tx, 'switched on', 500, Buffer.from('switched on'))
    })
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): string {
    const text = Buffer.from(entry.payload as Uint8Array).toString()
    if (!text.startsWith('{')) {
      tx.put(`${PREFIX}rang ${String(pos).padStart(9)} ${entry.index}`, Buffer.from(text))
      return text
    }
    const command = JSON.parse(text) as Command
    switch (command.do) {
      case 'arm':
        this.timers.arm(tx, command.id, command.ms, Buffer.from(command.text ?? command.id))
        break
      case 'cancel':
        this.timers.cancel(tx, command.id)
        break
      case 'try': {
        const savepoint = tx.savepoint()
        this.timers.arm(tx, command.id, command.ms, Buffer.from(command.id))
        tx.rollbackTo(savepoint)
        break
      }
      case 'view':
        tx.put(VIEW, Buffer.from(JSON.stringify(command.members)))
    }
    return String(pos)
  }

  postApply(entry: Entry, pos: LogPos, result: string): void {
    if (Buffer.from(entry.payload as Uint8Array).toString() !== result) return
    this.rang.push({ text: result, pos, index: entry.index, atMs: this.nowMs() })
  }
}

/** The log of all servers. */
export class AlarmLog {
  readonly provider = new MemoryLogletProvider()
  readonly register = new MemoryRegister()
}

export interface AlarmServerOptions {
  readonly world: Simulation
  readonly name: string
  readonly log: AlarmLog
  /** The view until a command changes it. */
  readonly members: readonly string[]
  readonly time: EngineFactory
  /** False: the database needs nothing of the log. Default true: another server may still have to read it. */
  readonly keepsLog?: boolean
}

export class AlarmServer {
  stack!: Stack<string>
  store!: MemoryStore
  alarms!: Alarms
  /** What the log does with appends: takes them, keeps them until it is back, refuses them, or loses them and does not know. */
  weather: 'fair' | 'away' | 'refuses' | 'loses' = 'fair'
  /** Positions that this server allowed to trim, newest last. */
  readonly trims: number[] = []
  private readonly options: AlarmServerOptions
  private readonly backend: MemoryBackend
  private log!: VirtualLog
  private kept: (() => void)[] = []
  private standing: (() => void)[] | undefined

  constructor(options: AlarmServerOptions) {
    this.options = options
    this.backend = new MemoryBackend(options.world, { delayMs: () => 0.2 })
  }

  get rang(): readonly Rang[] {
    return this.alarms.rang
  }

  /** Starts a process, and resolves once it serves. */
  async start(): Promise<void> {
    const { log, members, name, time, world } = this.options
    const { clock, random, timers: running } = world.server(name).boot()
    const timers = this.stoppable(running)
    this.store = openMemoryStore({ runtime: { clock, random, timers }, backend: this.backend })
    this.log = await VirtualLog.open({
      metastore: new MemoryMetaStore(log.register),
      providers: [log.provider],
      initial: { kind: 'memory', params: {} },
      clock,
      timers: running,
      random,
    })
    const bottom = new BaseEngine({ serverId: name, log: this.inWeather(this.log), store: this.store, clock, timers })
    const release = bottom.setTrimPrefix.bind(bottom)
    bottom.setTrimPrefix = (pos) => {
      this.trims.push(pos)
      release(pos)
    }
    this.stack = new Stack<string>({
      serverId: name,
      database: 'alarms',
      bottom,
      engines: [batchingEngine(), time],
      clock,
      timers,
      random,
      checked: true,
      membership: () => ({ missing: () => [], members: (tx) => viewOf(tx) ?? members }),
    })
    this.alarms = new Alarms(this.stack.timerService as TimerService, () => world.queue.nowMs)
    this.stack.attach(this.alarms, { keepsLog: this.options.keepsLog !== false })
    await this.stack.start()
    await this.stack.whenServing()
  }

  tell(command: Command): Promise<string> {
    return this.stack.propose(Buffer.from(JSON.stringify(command)))
  }

  /** Puts a control entry of Time into the log, as this or any other server might. */
  forge(header: TimeHeader): Promise<string> {
    return this.stack.propose(controlEntry('time', encodeTimeHeader(header), true))
  }

  /** The event loop stands still until `goOn`. */
  standStill(): void {
    this.standing = []
  }

  goOn(): void {
    const late = this.standing ?? []
    this.standing = undefined
    for (const callback of late) callback()
  }

  /** The log takes appends again, and those that it kept. */
  clear(): void {
    this.weather = 'fair'
    for (const append of this.kept.splice(0)) append()
  }

  /** The process ends; the store keeps what was on its disk. */
  async stop(): Promise<void> {
    await this.stack.stop()
    await this.store.close()
    this.options.world.server(this.options.name).kill()
  }

  /** All that is replicated above Base. */
  content(): string[] {
    return [...this.store.read().scan({ from: '' })]
      .filter(([key]) => !key.startsWith(subStorePrefix('base')))
      .map(([key, value]) => `${JSON.stringify(key)} ${Buffer.from(value).toString('hex')}`)
  }

  private inWeather(log: VirtualLog): SharedLog {
    const append = log.append.bind(log)
    log.append = async (bytes: Uint8Array): Promise<AppendOutcome> => {
      if (this.weather === 'refuses') return { kind: 'refused', cause: new DelosError('DISK_FULL', 'no room') }
      if (this.weather === 'loses') return { kind: 'indeterminate', cause: new DelosError('IO_ERROR', 'no answer') }
      if (this.weather === 'away') await new Promise<void>((resolve) => this.kept.push(resolve))
      return append(bytes)
    }
    return log
  }

  private stoppable(timers: Timers): Timers {
    const late = (callback: () => void) => () => {
      if (this.standing === undefined) callback()
      else this.standing.push(callback)
    }
    return {
      after: (delayMs, callback) => timers.after(delayMs, late(callback)),
      soon: (callback) => timers.soon(late(callback)),
    }
  }
}

function viewOf(tx: ReadTx): readonly string[] | undefined {
  const stored = tx.get(VIEW)
  return stored === undefined ? undefined : (JSON.parse(Buffer.from(stored).toString()) as string[])
}
