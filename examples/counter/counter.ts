// A replicated database in two halves, on the public exports alone: named counters that never lose or repeat an addition.

import type { DatabaseDefinition, Stack } from 'delos'
import type { Applicator, Entry } from 'delos/engine'
import { keyText, type ReadTx, type ReadWriteTx, rangeOfPrefix, subStorePrefix, textOfKey } from 'delos/store'

const NAME = 'counter'
const PREFIX = subStorePrefix(NAME)

/** What goes through the log. */
interface Addition {
  readonly name: string
  readonly amount: number
}

/** What apply answers: the new value, or a rejection. A rejection is a value, never an exception. */
export type AdditionResult = { readonly value: number } | { readonly rejected: 'below zero' }

/** The half that runs on every server, in log order, and decides by nothing but the entry and the store. */
class CounterApplicator implements Applicator<AdditionResult> {
  apply(tx: ReadWriteTx, entry: Entry): AdditionResult {
    const { name, amount } = decode(entry.payload as Uint8Array)
    const value = counted(tx, name) + amount
    if (value < 0) return { rejected: 'below zero' }
    tx.put(keyOf(name), Buffer.from(String(value)))
    return { value }
  }

  postApply(): void {
    // Nothing watches counters. Caches and notifications would be brought up to date here.
  }
}

/** For `openServer({ databases: [counterDatabase()] })`. */
export function counterDatabase(): DatabaseDefinition {
  return { name: NAME, applicator: new CounterApplicator() }
}

/** The half that callers use: turns calls into proposals and reads. */
export class Counters {
  private readonly stack: Stack<AdditionResult>

  constructor(stack: Stack<AdditionResult>) {
    this.stack = stack
  }

  /** Adds and resolves once the addition is durable; exactly once, or rejects with INDETERMINATE if nobody can tell. */
  add(name: string, amount: number): Promise<AdditionResult> {
    return this.stack.propose(encode({ name, amount }))
  }

  /** Linearizable: sees every addition that was acknowledged anywhere before the call. */
  async get(name: string): Promise<number> {
    return counted(await this.stack.sync(), name)
  }

  /** All counters, in order of their names, as of one moment. */
  async list(): Promise<ReadonlyMap<string, number>> {
    const tx = await this.stack.sync()
    const counters = new Map<string, number>()
    for (const [key, value] of tx.scan(rangeOfPrefix(PREFIX))) {
      counters.set(textOfKey(key.slice(PREFIX.length)), numberOf(value))
    }
    return counters
  }
}

function keyOf(name: string): string {
  return PREFIX + keyText(name)
}

function counted(tx: ReadTx, name: string): number {
  const stored = tx.get(keyOf(name))
  return stored === undefined ? 0 : numberOf(stored)
}

function numberOf(value: Uint8Array): number {
  return Number(Buffer.from(value).toString('latin1'))
}

function encode(addition: Addition): Uint8Array {
  return Buffer.from(JSON.stringify(addition))
}

function decode(payload: Uint8Array): Addition {
  return JSON.parse(Buffer.from(payload).toString('utf8')) as Addition
}
