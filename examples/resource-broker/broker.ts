// Who uses which machine: a resource broker on tables. No machine is ever given to two jobs, no team gets more than its share,
// and a request that is repeated gets the machine that it got before.

import { bool, createdAt, defineTable, int64, type Position, string, type Tables } from 'delos/table'

export const machines = defineTable({
  name: 'machines',
  columns: { id: string(), zone: string(), cores: int64(), free: bool().default(true) },
  key: ['id'],
  // The machines that can be had, the smallest first.
  indexes: { free: { columns: ['zone', 'cores'], where: { free: true } } },
})

export const allocations = defineTable({
  name: 'allocations',
  // The request's own name is the key: asked for twice, it is one allocation.
  columns: { request: string(), team: string(), machine: string(), since: createdAt() },
  key: ['request'],
  indexes: {
    // Whatever this program gets wrong, the database refuses to give a machine away twice.
    byMachine: { columns: ['machine'], unique: true },
    byTeam: { columns: ['team'] },
  },
})

export interface Wish {
  readonly request: string
  readonly team: string
  readonly zone: string
  readonly coresMin: bigint
}

export type Allocated = { readonly machine: string } | { readonly refused: 'no such machine is free' | 'share used up' }

export type BrokerEvent = {
  readonly position: Position
  readonly what: 'allocated' | 'released'
  readonly team: string
  readonly machine: string
}

/** Everybody wants the same machines: conflicts are the rule, and each means that somebody else got one. */
const ATTEMPTS = 100

export class Broker {
  private readonly tables: Tables
  private readonly machinesPerTeam: number

  private constructor(tables: Tables, machinesPerTeam: number) {
    this.tables = tables
    this.machinesPerTeam = machinesPerTeam
  }

  /** Creates the tables, or brings those of an earlier version up to date. */
  static async open(tables: Tables, machinesPerTeam: number): Promise<Broker> {
    for (const table of [machines, allocations]) {
      await tables.migrate(table)
      await tables.schema.ready(table)
    }
    return new Broker(tables, machinesPerTeam)
  }

  /** False: it is known already. */
  async addMachine(id: string, zone: string, cores: bigint): Promise<boolean> {
    return (await this.tables.insert(machines, { id, zone, cores })).ok
  }

  /** The smallest free machine that will do. */
  async allocate({ coresMin, request, team, zone }: Wish): Promise<Allocated> {
    const result = await this.tables.transaction(
      async (tx): Promise<Allocated> => {
        const before = await tx.get(allocations, { request })
        if (before !== undefined) return { machine: before.machine }
        const { rows: used } = await tx.scan(allocations, { index: 'byTeam', prefix: { team } })
        if (used.length >= this.machinesPerTeam) return { refused: 'share used up' }
        const smallest = { index: 'free', prefix: { zone }, from: { cores: coresMin }, limit: 1 } as const
        const [machine] = (await tx.scan(machines, smallest)).rows
        if (machine === undefined) return { refused: 'no such machine is free' }
        tx.update(machines, { id: machine.id }, { set: { free: false } })
        tx.insert(allocations, { request, team, machine: machine.id })
        return { machine: machine.id }
      },
      { attempts: ATTEMPTS },
    )
    if (!result.ok) throw new Error(`a request that nothing is wrong with was rejected: ${result.detail}`)
    return result.value
  }

  /** False: there is no such allocation, any more or at all. */
  async release(request: string): Promise<boolean> {
    const result = await this.tables.transaction(async (tx) => {
      const allocation = await tx.get(allocations, { request })
      if (allocation === undefined) return false
      tx.delete(allocations, { request })
      tx.update(machines, { id: allocation.machine }, { set: { free: true } })
      return true
    })
    return result.ok && result.value
  }

  /** What a team has. */
  async held(team: string): Promise<readonly { readonly request: string; readonly machine: string }[]> {
    const scan = { index: 'byTeam', prefix: { team }, select: ['request', 'machine'] } as const
    return (await this.tables.scan(allocations, scan)).rows
  }

  /** What happens after a position, for ever, or until the signal. Keep the position of the last event, and go on from there. */
  async *events(after: Position, signal?: AbortSignal): AsyncGenerator<BrokerEvent> {
    const feed = this.tables.changes(allocations, { after, ...(signal && { signal }) })
    for await (const { after: now, before, position } of feed) {
      const row = now ?? before
      if (row === undefined) continue
      yield { position, what: now === undefined ? 'released' : 'allocated', team: row.team, machine: row.machine }
    }
  }
}
