// Reads of the server that holds a lease, as databases ask for them, and what everybody else is told. The engine Lease implements
// it (src/engines). Not here: how a lease is taken and lost.

import { DelosError } from '../base/delos-error.ts'
import type { ReadTx } from '../store/local-store.ts'

/** Who holds the lease, as far as this server knows. */
export interface LeaseHolder {
  readonly serverId: string
  /** Where its clients reach it, as it said itself; empty if it did not. */
  readonly address: string
}

/** Another server holds the lease: nothing was changed. Whoever has a client may forward its request to the holder. */
export class LeaseHeld extends DelosError {
  readonly holder: LeaseHolder

  constructor(holder: LeaseHolder) {
    const where = holder.address === '' ? '' : ` at ${holder.address}`
    super('LEASE_HELD', `server ${holder.serverId}${where} holds the lease`)
    this.holder = holder
  }
}

export interface LeasedReads {
  /** undefined: nobody does. */
  readonly holder: LeaseHolder | undefined
  /**
   * Linearizable, without asking the log: what `use` returns of this server's store, if it holds the lease and still did when `use`
   * had returned. Else undefined: `read` can. `use` is called at most once, at once, and must have no effect. Costs about a microsecond.
   */
  tryRead<T>(use: (tx: ReadTx) => T): { readonly value: T } | undefined
  /**
   * Linearizable: by the lease where possible (waits for this server's own updates that are under way), else as `sync`. `use` may be
   * called twice. Rejects as `sync` does.
   */
  read<T>(use: (tx: ReadTx) => T): Promise<T>
}
