// Who must know an engine before it may be enabled. ViewTracking answers from the replicated view; a database of one server
// answers from its own stack. Not here: how members join, leave and announce.

import type { ReadTx } from '../store/local-store.ts'

/** The highest level of each engine that a server's build knows, by engine name. */
export type EngineLevels = ReadonlyMap<string, number>

export interface Membership {
  /**
   * The members that have not announced `engine` at `level` or above; empty means it may be switched. Called from apply: a
   * deterministic function of the transaction's content, the same on every server at the same position.
   */
  missing(tx: ReadTx, engine: string, level: number): readonly string[]
  /**
   * Ids of the members, ascending. In apply a deterministic function of the transaction's content; with a read of the
   * committed state, what this server knows. Empty before the first server has joined a view: then nothing that needs a
   * majority happens.
   */
  members(tx: ReadTx): readonly string[]
}

/** A view of exactly this server: it misses what its own stack does not have. Wrong as soon as a second server exists. */
export class SoloMembership implements Membership {
  private readonly serverId: string
  private readonly levels: EngineLevels

  constructor(serverId: string, levels: EngineLevels) {
    this.serverId = serverId
    this.levels = levels
  }

  missing(_tx: ReadTx, engine: string, level: number): readonly string[] {
    const known = this.levels.get(engine)
    return known !== undefined && known >= level ? [] : [this.serverId]
  }

  members(_tx: ReadTx): readonly string[] {
    return [this.serverId]
  }
}
