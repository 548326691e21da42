// The virtual log: one log over a chain of loglets that can be swapped while it runs (Delos, OSDI 2020, section 3). This is
// the face of it and the owner of its parts; appending, reading, trimming and reconfiguring are each in a module of their own.

import { DelosError } from '../base/delos-error.ts'
import { ActiveLoglet } from './active-loglet.ts'
import type { Chain } from './chain/chain.ts'
import { chainStart } from './chain/chain.ts'
import { ChainRegister } from './chain-register.ts'
import { ChunkAssembler } from './chunk-assembler.ts'
import { allEnded, Deadlines } from './deadline.ts'
import { LogAppender } from './log-appender.ts'
import { type ResolvedLogOptions, resolveLogOptions, type VirtualLogOptions } from './log-options.ts'
import { LogReader } from './log-reader.ts'
import { LogTrimmer } from './log-trimmer.ts'
import type { LogletConfig, LogletRecipe } from './loglet.ts'
import { isGone, LogletHandles } from './loglet-handles.ts'
import type { LogPos } from './position.ts'
import { type ExtendOutcome, Reconfiguration } from './reconfiguration.ts'
import type { AppendOutcome, LogRead, SharedLog } from './shared-log.ts'

export class VirtualLog implements SharedLog {
  readonly maxEntryBytes: number
  private readonly options: ResolvedLogOptions
  private readonly register: ChainRegister
  private readonly handles: LogletHandles
  private readonly reconfiguration: Reconfiguration
  private readonly active: ActiveLoglet
  private readonly appender: LogAppender
  private readonly reader: LogReader
  private readonly trimmer: LogTrimmer
  private readonly deadlines: Deadlines
  private readonly operations = new Set<Promise<unknown>>()
  private closing: Promise<void> | undefined

  /**
   * Opens the log that the metastore names. With `initial` an empty metastore gets its first chain; several servers may try
   * at once. Rejects with NOT_FOUND (no chain, or its open loglet is gone), CORRUPT, FORMAT, TIMEOUT. The metastore and the
   * providers stay the caller's to close, after this log.
   */
  static async open(options: VirtualLogOptions): Promise<VirtualLog> {
    const resolved = resolveLogOptions(options)
    const handles = new LogletHandles(resolved.providers)
    const { metastore, clock, timers, random, chainLimitMs } = resolved
    const register = new ChainRegister({
      metastore,
      clock,
      timers,
      random,
      limitMs: chainLimitMs,
      onIndeterminate: () => resolved.onEvent('indeterminate chain write'),
    })
    const reconfiguration = new Reconfiguration(register, handles, resolved)
    try {
      if (!(await register.refresh())) await reconfiguration.bootstrap(resolved.initial)
      const log = new VirtualLog(resolved, register, handles, reconfiguration)
      await log.limited('the first tail check', () => log.active.learn())
      return log
    } catch (error) {
      await handles.closeAll()
      throw error
    }
  }

  private constructor(
    options: ResolvedLogOptions,
    register: ChainRegister,
    handles: LogletHandles,
    reconfiguration: Reconfiguration,
  ) {
    const assembler = new ChunkAssembler(2 * options.maxEntryBytes)
    const active = new ActiveLoglet(register, handles, reconfiguration, options)
    this.maxEntryBytes = options.maxEntryBytes
    this.options = options
    this.register = register
    this.handles = handles
    this.reconfiguration = reconfiguration
    this.active = active
    this.appender = new LogAppender(active, options)
    this.deadlines = new Deadlines(options, options.readLimitMs)
    this.reader = new LogReader(register, handles, active, assembler)
    this.trimmer = new LogTrimmer({ register, handles, active, reconfiguration, assembler, options })
  }

  /** The chain as it is known here. */
  get chain(): Chain {
    return this.register.chain
  }

  get knownTail(): LogPos {
    return this.active.knownTail
  }

  append(bytes: Uint8Array): Promise<AppendOutcome> {
    if (this.closing) return Promise.resolve({ kind: 'refused', cause: closed() })
    return this.appender.append(bytes)
  }

  checkTail(): Promise<LogPos> {
    return this.limited('the tail check', () => this.checkTailAcross())
  }

  readNext(from: LogPos, to: LogPos, maxBytes: number): Promise<LogRead> {
    return this.limited('the read', () => this.reader.readNext(from, to, maxBytes))
  }

  prefixTrim(to: LogPos): Promise<void> {
    return this.limited('the trim', () => this.trimmer.trim(to))
  }

  onTailMoved(listener: (tail: LogPos) => void): () => void {
    return this.active.onTailMoved(listener)
  }

  oldest(): { readonly pos: LogPos; readonly wallMs: number | undefined } {
    const segment = this.chain.segments[0]
    const loglet = segment && this.handles.peek(segment.config)
    if (!segment || !loglet) return { pos: chainStart(this.chain), wallMs: undefined }
    const mark = loglet.marks()[0]
    const pos = (segment.start + loglet.trimPoint) as LogPos
    return { pos, wallMs: mark && mark.offset <= loglet.trimPoint ? mark.wallMs : undefined }
  }

  /** Seals the active loglet and goes on in a new one of this recipe. */
  extend(recipe: LogletRecipe): Promise<ExtendOutcome> {
    return this.untilDone(() => this.reconfiguration.extend(recipe))
  }

  /** Moves the sealed segment that starts at `start` to `config`, an existing copy that is compared first. */
  modify(start: LogPos, config: LogletConfig): Promise<void> {
    return this.untilDone(() => this.reconfiguration.modify(start, config))
  }

  /** Operators only, while no server has passed `pos`: it is applied as a no-op everywhere. */
  voidPosition(...args: Parameters<Reconfiguration['voidPosition']>): Promise<void> {
    return this.untilDone(() => this.reconfiguration.voidPosition(...args))
  }

  /** Operators only, of a position that no server can pass: the entry at `entry`, behind it, is applied first everywhere. */
  repairPosition(...args: Parameters<Reconfiguration['repairPosition']>): Promise<void> {
    return this.untilDone(() => this.reconfiguration.repairPosition(...args))
  }

  /** Operators only: leaves an active loglet that can't be sealed any more. See Reconfiguration.forceEnd. */
  forceEnd(...args: Parameters<Reconfiguration['forceEnd']>): Promise<void> {
    return this.untilDone(() => this.reconfiguration.forceEnd(...args))
  }

  /** Destroys what attempts that never entered the chain left behind. */
  sweepOrphans(): Promise<void> {
    return this.untilDone(() => this.reconfiguration.sweepOrphans())
  }

  close(): Promise<void> {
    this.closing ??= this.closeParts()
    return this.closing
  }

  /** For operations that close waits for: they change what is stored. */
  private async untilDone<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing) throw closed()
    const operation = work()
    this.operations.add(operation)
    try {
      return await operation
    } finally {
      this.operations.delete(operation)
    }
  }

  private async checkTailAcross(): Promise<LogPos> {
    const { clock, readLimitMs } = this.options
    // Past the deadline nobody waits for it any more.
    const endMs = clock.monotonicMs() + readLimitMs
    do {
      const end = await this.active.open()
      try {
        const { tail, sealed } = await end.loglet.checkTail()
        if (!sealed) {
          this.active.noteTail(end.segment, tail)
          return (end.segment.start + tail) as LogPos
        }
      } catch (error) {
        if (!isGone(error) || this.closing) throw error
        await this.register.refresh()
        if (this.active.end === end) throw error
        continue
      }
      // Entries may have been appended past this tail already: only an open loglet can tell.
      await this.active.moveOn(end.segment)
    } while (clock.monotonicMs() < endMs)
    throw this.tooLate('the tail check')
  }

  private limited<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.closing) return Promise.reject(closed())
    return this.deadlines.limit(work(), () => {
      throw this.tooLate(what)
    })
  }

  private tooLate(what: string): DelosError {
    return new DelosError('TIMEOUT', `${what} took longer than ${this.options.readLimitMs} ms`)
  }

  // All at once: what waits for a loglet that hangs ends with its handle.
  private closeParts(): Promise<void> {
    const operations = Promise.allSettled([...this.operations])
    const ended = allEnded([this.trimmer.close(), this.active.close(), this.handles.closeAll(), operations])
    return ended.finally(() => {
      this.appender.close()
      this.deadlines.close()
    })
  }
}

function closed(): DelosError {
  return new DelosError('CLOSED', 'the log was closed')
}
