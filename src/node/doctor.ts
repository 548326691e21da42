// What an operator does to the rows of one database, whatever state it is in: reads, edits through the log, and ways past an entry
// at which it stopped. Not here: HTTP (doctor-routes.ts), and what an edit is (engines/brain-doctor).

import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import { stoppedAtEntry } from '../engine/bottom-engine.ts'
import { isFlagHeader } from '../engine/engine-flags.ts'
import { decodeEntry } from '../engine/entry-codec.ts'
import type { Stack, StackStatus } from '../engine/stack.ts'
import type { AuditRecord } from '../engines/brain-doctor/audit-trail.ts'
import { BRAIN_DOCTOR, BrainDoctorEngine, type Unmade } from '../engines/brain-doctor/brain-doctor-engine.ts'
import type { EditRequest, RowEdit } from '../engines/brain-doctor/edit-codec.ts'
import { decodeViewMessage } from '../engines/view-tracking/view-message.ts'
import { VIEW_TRACKING } from '../engines/view-tracking/view-tracking-engine.ts'
import type { StoppedAt } from '../log/chain/chain-edits.ts'
import type { LogPos } from '../log/position.ts'
import type { VirtualLog } from '../log/virtual-log.ts'
import type { Clock } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'

export interface DoctorParts {
  readonly stack: Stack<unknown>
  readonly log: Pick<VirtualLog, 'append' | 'chain' | 'checkTail' | 'readNext' | 'repairPosition' | 'voidPosition'>
  readonly clock: Pick<Clock, 'wallMs'>
}

/** Who asks, and why. */
export interface DoctorSignature {
  readonly who: string
  readonly why: string
}

/** A row that is to hold `value`, or to go. Without `old`: what it holds now is expected. */
export interface WantedEdit {
  readonly key: Key
  readonly value: Uint8Array | undefined
  readonly old?: { readonly value: Uint8Array | undefined }
}

export interface WantedEdits extends DoctorSignature {
  readonly edits: readonly WantedEdit[]
  readonly forced: boolean
  /** Says what would be done, and does nothing. */
  readonly dryRun: boolean
}

export type DoctorOutcome =
  | {
      readonly kind: 'edited'
      readonly position: LogPos
      /** False: the holder of a lease may not have seen it yet, and answer reads with the rows as they were. */
      readonly shown: boolean
      readonly edits: readonly RowEdit[]
    }
  /** Of a stopped database: each server makes them in front of `position`, when it is started again. */
  | {
      readonly kind: 'recorded'
      readonly position: LogPos
      /** Where the log has them. */
      readonly recordedAt: LogPos
      readonly edits: readonly RowEdit[]
    }
  | { readonly kind: 'would edit'; readonly position: LogPos | undefined; readonly edits: readonly RowEdit[] }
  | Unmade

export interface VoidOutcome {
  readonly position: LogPos
  /** False: it was void before. */
  readonly changed: boolean
  /** False: BrainDoctor was disabled, so that no record of it is kept. */
  readonly audited: boolean
}

const READ_BYTES = 1024 * 1024

export class Doctor {
  private readonly parts: DoctorParts

  constructor(parts: DoctorParts) {
    this.parts = parts
  }

  /** Reads rows: linearizable while the database serves, else of what this server has applied. `use` is called synchronously. */
  async read<T>(use: (tx: ReadTx) => T): Promise<T> {
    const { stack } = this.parts
    return stack.status().state === 'serving' ? use(await stack.sync()) : use(stack.read())
  }

  history(limit: number): Promise<readonly AuditRecord[]> {
    return this.read((tx) => this.engine.history(tx, limit))
  }

  /** Rejects with NOT_READY while it catches up, with CONFLICT if another server has passed the entry at which this one stopped. */
  async edit(wanted: WantedEdits): Promise<DoctorOutcome> {
    const { clock, stack } = this.parts
    const status = stack.status()
    const stopped = status.state === 'serving' ? undefined : stoppedAt(status)
    const repairs = stopped?.position
    const request = await this.read((tx): EditRequest & { readonly unmade: Unmade | undefined } => {
      const { forced, who, why } = wanted
      const edits = wanted.edits.map(
        ({ key, old, value }): RowEdit => ({ key, value, old: old === undefined ? tx.get(key) : old.value }),
      )
      const asked = { who, why, forced, edits, repairs, voids: false, wallMs: clock.wallMs() }
      return { ...asked, unmade: this.engine.preview(tx, asked) }
    })
    const { edits, unmade } = request
    if (unmade !== undefined) return unmade
    if (wanted.dryRun) return { kind: 'would edit', position: repairs, edits }
    if (stopped === undefined) {
      const outcome = await this.engine.edit(request)
      return outcome.kind === 'edited' ? { ...outcome, shown: await this.isShown(), edits } : outcome
    }
    await this.requireNotPassed(stopped.position)
    const recordedAt = await this.append(request)
    await this.parts.log.repairPosition(stopped, recordedAt)
    return { kind: 'recorded', position: stopped.position, recordedAt, edits }
  }

  /**
   * The entry at which the database stopped is applied as a no-op by every server, each when it is started again. Whoever proposed
   * it was told that nobody knows. Also a repair recorded at `position`, if it is what the database stops at. Rejects with
   * CONFLICT as `edit` does, and if the database is not stopped there.
   */
  async void(position: LogPos, signature: DoctorSignature): Promise<VoidOutcome> {
    const { clock, log, stack } = this.parts
    const engine = stack.layer(BRAIN_DOCTOR)
    const doctor = engine instanceof BrainDoctorEngine && engine.flags.enabled ? engine : undefined
    if (log.chain.voided.includes(position)) return { position, changed: false, audited: doctor !== undefined }
    const stopped = stoppedAt(stack.status())
    const isRepair = stopped.repairs.includes(position)
    if (stopped.position !== position && !isRepair) {
      throw new DelosError('CONFLICT', `the database stopped at position ${stopped.position}, not ${position}`)
    }
    await this.requireNotPassed(stopped.position)
    // Behind a repair nothing is applied there that could note it.
    if (isRepair) {
      await log.voidPosition(position, stopped)
      return { position, changed: true, audited: false }
    }
    const request = { ...signature, forced: false, edits: [], repairs: position, voids: true, wallMs: clock.wallMs() }
    await log.voidPosition(position, stopped, doctor && (await this.append(request)))
    return { position, changed: true, audited: doctor !== undefined }
  }

  private get engine(): BrainDoctorEngine {
    const engine = this.parts.stack.layer(BRAIN_DOCTOR)
    if (engine instanceof BrainDoctorEngine) return engine
    throw new DelosError('NOT_FOUND', `this database has no engine ${BRAIN_DOCTOR} in its stack`)
  }

  /** A read that every engine vouches for shows it. */
  private isShown(): Promise<boolean> {
    return this.parts.stack.sync().then(
      () => true,
      () => false,
    )
  }

  private async append(request: EditRequest): Promise<LogPos> {
    const outcome = await this.parts.log.append(this.engine.repairEntry(request))
    // One that is in the log all the same is found at its own place, where it does nothing.
    if (outcome.kind !== 'appended') throw outcome.cause
    return outcome.pos
  }

  /**
   * What a server has applied can't be taken back, and one that applied the entry has not met what stops this one: a repair there
   * would part them. Those in the view tell how far they are; of others only the operator knows.
   */
  private async requireNotPassed(position: LogPos): Promise<void> {
    const tail = await this.parts.log.checkTail()
    for (let from = (position + 1) as LogPos; from < tail; ) {
      const { entries, next } = await this.parts.log.readNext(from, tail, READ_BYTES)
      for (const { bytes } of entries) {
        const passed = whoPassed(bytes, position)
        if (passed === undefined) continue
        throw new DelosError(
          'CONFLICT',
          `server ${passed} has applied position ${position}: it has no part in what stopped this one`,
        )
      }
      if (next === from) return
      from = next
    }
  }
}

/** Where it stopped at an entry that it could not apply. NOT_READY if it did not stop there. */
function stoppedAt({ cursor, failure, state }: StackStatus): StoppedAt {
  if (state !== 'stopped' || failure === undefined) {
    throw new DelosError(state === 'serving' ? 'CONFLICT' : 'NOT_READY', `the database is ${state}, not stopped`)
  }
  const { code, message, position, repairs = [] } = failure
  if (stoppedAtEntry(failure) && cursor <= position) return { position, repairs }
  throw new DelosError('NOT_READY', `the database did not stop at an entry, but with ${code}: ${message}`)
}

/** The server that says in this entry that it has durably applied `position`. */
function whoPassed(bytes: Uint8Array, position: LogPos): string | undefined {
  try {
    const header = decodeEntry(bytes).headers.get(VIEW_TRACKING)
    if (header === undefined || isFlagHeader(header.bytes)) return undefined
    const message = decodeViewMessage(header.bytes)
    return 'durable' in message && message.durable > position ? message.serverId : undefined
  } catch (error) {
    // An entry that nobody can read says nothing.
    if (error instanceof DelosError) return undefined
    throw error
  }
}
