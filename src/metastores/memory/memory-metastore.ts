// The executable definition of a metastore, and its hostile twin. One MemoryRegister is the shared world; every server opens
// its own handle onto it. Nothing here is durable.

import { DelosError } from '../../base/delos-error.ts'
import type { MetaRead, MetaStore, MetaWriteOutcome } from '../../log/metastore.ts'
import type { Random, Timers } from '../../runtime/runtime.ts'

/** The register itself. */
export class MemoryRegister {
  private value: Uint8Array | undefined
  private version = 0

  read(): MetaRead {
    return { value: this.value, version: this.version }
  }

  write(value: Uint8Array, expectedVersion: number): MetaWriteOutcome {
    if (expectedVersion !== this.version) return { kind: 'conflict', version: this.version }
    this.value = Uint8Array.from(value)
    this.version++
    return { kind: 'written', version: this.version }
  }
}

/** Rates are probabilities from 0 to 1 per call. */
export interface HostileMetaStoreOptions {
  readonly random: Random
  readonly timers: Timers
  readonly delayMsMax: number
  /** The answer to a write is lost: it happened, never happens, or happens later. */
  readonly indeterminateRate: number
}

/** One server's handle. */
export class MemoryMetaStore implements MetaStore {
  private readonly register: MemoryRegister
  private readonly hostile: HostileMetaStoreOptions | undefined
  private closed = false

  constructor(register: MemoryRegister, hostile?: HostileMetaStoreOptions) {
    this.register = register
    this.hostile = hostile
  }

  async read(): Promise<MetaRead> {
    this.mustBeOpen()
    await this.delay()
    const read = this.register.read()
    await this.delay()
    return read
  }

  async write(value: Uint8Array, expectedVersion: number): Promise<MetaWriteOutcome> {
    this.mustBeOpen()
    const copy = Uint8Array.from(value)
    await this.delay()
    if (this.chance(this.hostile?.indeterminateRate ?? 0)) this.loseAnswer(copy, expectedVersion)
    const outcome = this.register.write(copy, expectedVersion)
    await this.delay()
    return outcome
  }

  async close(): Promise<void> {
    this.closed = true
  }

  private loseAnswer(value: Uint8Array, expectedVersion: number): never {
    const register = this.register
    if (this.chance(0.4)) register.write(value, expectedVersion)
    else if (this.chance(0.5)) {
      this.hostile?.timers.after(this.delayMs(), () => {
        register.write(value, expectedVersion)
      })
    }
    throw new DelosError('INDETERMINATE', 'the answer to a metastore write was lost')
  }

  private chance(rate: number): boolean {
    return this.hostile !== undefined && this.hostile.random.uint32() < rate * 0x1_0000_0000
  }

  private delayMs(): number {
    return this.hostile ? (this.hostile.random.uint32() / 0x1_0000_0000) * this.hostile.delayMsMax : 0
  }

  private async delay(): Promise<void> {
    const { hostile } = this
    if (hostile) await new Promise<void>((resolve) => hostile.timers.after(this.delayMs(), resolve))
  }

  private mustBeOpen(): void {
    if (this.closed) throw new DelosError('CLOSED', 'the metastore was closed')
  }
}
