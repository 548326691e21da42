// What a running server is to the program that opened it. Types only; open-server.ts makes one.

import type { DelosError } from '../base/delos-error.ts'
import type { EngineFactory, Stack } from '../engine/stack.ts'
import type { Tables } from '../table/tables.ts'
import type { ServerStatus } from './server-status.ts'

/** Bound addresses, `host:port`; a listener that is off is absent. */
export interface ServerAddresses {
  readonly zookeeper?: string
  /** For ZooKeeper clients that read linearizably. */
  readonly linearizable?: string
  /** By TLS. */
  readonly secure?: string
  readonly metrics?: string
  readonly api?: string
  /** ZooKeeper's AdminServer. */
  readonly admin?: string
}

export interface Server {
  readonly addresses: ServerAddresses
  status(): ServerStatus
  /** Resolves, once, when a database stopped at an entry or at a disk error. Its status says where. Never rejects. */
  readonly failed: Promise<DelosError>
  /** The tables. NOT_FOUND if the server does not run the database `table`. */
  readonly tables: Tables
  /** The stack of a database of your own: propose, sync, read. NOT_FOUND if the server does not run it. */
  database<R>(name: string): Stack<R>
  /**
   * Stops listening, answers what is under way (up to drainMs), makes everything durable, ends. Idempotent. Rejects with the
   * first error, after everything was closed all the same.
   */
  close(): Promise<void>
}

/** What benchmarks and tests replace. A production server has all of it. */
export interface ServerParts {
  /** Instead of ZELOS_STACK. For directories that never had another. */
  readonly zelosStack?: readonly EngineFactory[]
  /** An Observer at every joint. Default true. */
  readonly observed?: boolean
}
