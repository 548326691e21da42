// The contract of the metastore: one versioned register that holds the chain. The only part of the log that needs
// consensus of its own, touched only when the chain changes (Delos, OSDI 2020, section 3.2).

export interface MetaRead {
  /** undefined while nothing was ever written. */
  readonly value: Uint8Array | undefined
  /** 0 while nothing was ever written; each write adds one. */
  readonly version: number
}

export type MetaWriteOutcome =
  | { readonly kind: 'written'; readonly version: number }
  /** The register was at another version; nothing was written. */
  | { readonly kind: 'conflict'; readonly version: number }

export interface MetaStore {
  /** Linearizable. Rejects with IO_ERROR, CORRUPT, CLOSED, TIMEOUT. */
  read(): Promise<MetaRead>
  /**
   * Compare-and-set on the version; durable when it resolves. Rejects with INDETERMINATE if it can't tell: the caller
   * re-reads and compares identities.
   */
  write(value: Uint8Array, expectedVersion: number): Promise<MetaWriteOutcome>
  close(): Promise<void>
}
