// Clients of the checking database: they propose and sync at once, in all lives of its server, and hand every answer to the model.

import { DelosError } from '../../../base/delos-error.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { Simulation } from '../../simulation.ts'
import { ActorEnds } from '../actors.ts'
import { CHECKING, CheckingDatabase, encodeOperation, type OperationResult } from './checking-database.ts'
import { CheckingModel } from './checking-model.ts'
import { ANSWER_MS, type Application, type Client } from './stack-run.ts'

const KEYS = ['a', 'b', 'c', 'd']

export class CheckingClients implements Application<OperationResult> {
  readonly database = CHECKING
  private readonly world: Simulation
  private readonly model = new CheckingModel()

  constructor(world: Simulation) {
    this.world = world
  }

  applicator(): CheckingDatabase {
    return new CheckingDatabase((operation, result, index) => {
      this.model.applied(operation, result)
      if (index > 0) this.world.counters.bump('applied from a batch')
    })
  }

  opened(): void {
    // Nothing of this database lives in memory.
  }

  closing(): void {
    // As above.
  }

  content(store: ReadTx): void {
    this.model.content(store)
  }

  async serve(client: Client<OperationResult>, load: 'heavy' | 'light'): Promise<void> {
    if (load === 'light') {
      for (let i = 0; i < 10; i++) await this.propose(client)
      await this.sync(client)
      return
    }
    const { actors } = client
    const { random } = this.world
    const proposers = random.pick([1, 3, 10, 60])
    for (let i = 0; i < proposers; i++) {
      actors.repeat(async () => {
        if (client.isQuiet()) await actors.pause(20)
        else await this.propose(client)
        if (random.chance(0.3)) await actors.pause(random.fraction() * 5)
      })
    }
    actors.repeat(async () => {
      await this.sync(client)
      await actors.pause(random.fraction() * 20)
    })
  }

  private async propose({ actors, life, operated }: Client<OperationResult>): Promise<void> {
    const { counters, random, trace } = this.world
    const ballast = random.chance(0.02) ? random.integer(1_000, 4_000) : random.below(40)
    const kind = random.chance(0.5) ? 'add' : 'set'
    const versionOff = random.chance(0.3) ? undefined : random.pick([0, 0, 0, 1])
    const record = this.model.begin(kind, random.pick(KEYS), versionOff, ballast)
    const call = life.stack.propose(encodeOperation(record.operation))
    try {
      const result = await actors.answer('a proposal', ANSWER_MS, call)
      operated()
      this.model.acknowledged(record, result)
      trace.note('acknowledged', result.place)
      if (result.value === 'rejected') counters.bump('operation rejected')
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      operated()
      counters.bump(`proposal refused: ${error.code}`)
      trace.note('refused', error.code)
      if (error.code !== 'INDETERMINATE') this.model.refused(record)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (error.code !== 'INDETERMINATE' && !error.retryable) throw error
      await actors.pause(random.fraction() * 10)
    }
  }

  /** A linearizable read. */
  private async sync({ actors, life, operated }: Client<OperationResult>): Promise<void> {
    const { floor } = this.model
    const key = this.world.random.pick(KEYS)
    // Looked at in the section that receives it: it is valid no longer.
    const read = life.stack.sync().then((tx) => {
      if (actors.life.alive) this.model.read(floor, tx, key)
    })
    try {
      await actors.answer('a sync', ANSWER_MS, read)
      operated()
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.world.counters.bump(`sync refused: ${error.code}`)
      if (error.code === 'CLOSED') throw new ActorEnds()
      if (!error.retryable && error.code !== 'INDETERMINATE') throw error
    }
  }
}
