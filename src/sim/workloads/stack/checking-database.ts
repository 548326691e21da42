// A small database for the stack workload: registers with versions and lists, one number for every operation in order of the
// log. Whatever is lost, doubled or out of order shows in its content.

import { ByteReader } from '../../../base/byte-reader.ts'
import { ByteWriter } from '../../../base/byte-writer.ts'
import { packTuple } from '../../../base/key.ts'
import { attempt } from '../../../engine/attempt.ts'
import type { Applicator } from '../../../engine/engine.ts'
import type { Entry } from '../../../engine/entry.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../../store/local-store.ts'
import { subStorePrefix } from '../../../store/sub-store.ts'

/** `add` appends its id to a list; `set` writes it into a register whose version must be `version` (-1: any). */
export interface Operation {
  readonly id: number
  readonly kind: 'add' | 'set'
  readonly key: string
  readonly version: number
  /** Bytes that make it larger. */
  readonly ballast: number
}

export interface OperationResult {
  /** Its place among all operations ever applied, from 1. */
  readonly place: number
  /** Length of the list, or version of the register; rejected: the register had another version. */
  readonly value: number | 'rejected'
}

export const CHECKING = 'checking'
const PREFIX = subStorePrefix(CHECKING)
const COUNT_KEY = `${PREFIX}count`

export function encodeOperation({ id, kind, key, version, ballast }: Operation): Uint8Array {
  const writer = new ByteWriter(64 + ballast)
  writer.varint(id)
  writer.u8(kind === 'add' ? 0 : 1)
  writer.string(key)
  writer.varint(version + 1)
  writer.raw(new Uint8Array(ballast))
  return writer.take()
}

export function decodeOperation(bytes: Uint8Array): Operation {
  const reader = new ByteReader(bytes)
  const id = reader.varint()
  const kind = reader.u8() === 0 ? 'add' : 'set'
  return { id, kind, key: reader.string(), version: reader.varint() - 1, ballast: reader.remaining }
}

/** Called from postApply, in order of the log. `index`: place inside a batch. */
export type Applied = (operation: Operation, result: OperationResult, index: number) => void

export class CheckingDatabase implements Applicator<OperationResult> {
  private readonly applied: Applied

  constructor(applied: Applied) {
    this.applied = applied
  }

  apply(tx: ReadWriteTx, entry: Entry, _pos: LogPos): OperationResult {
    const operation = decodeOperation(entry.payload as Uint8Array)
    const place = operationsIn(tx) + 1
    put(tx, COUNT_KEY, place)
    put(tx, placeKey(place), operation.id)
    const value = attempt<number | 'rejected'>(
      tx,
      () => (operation.kind === 'add' ? add(tx, operation) : set(tx, operation)),
      (result) => result === 'rejected',
    )
    return { place, value }
  }

  postApply(entry: Entry, _pos: LogPos, result: OperationResult): void {
    this.applied(decodeOperation(entry.payload as Uint8Array), result, entry.index)
  }
}

function add(tx: ReadWriteTx, { id, key }: Operation): number {
  const length = (number(tx, lengthKey(key)) ?? 0) + 1
  put(tx, lengthKey(key), length)
  put(tx, itemKey(key, length), id)
  return length
}

function set(tx: ReadWriteTx, { id, key, version }: Operation): number | 'rejected' {
  const next = (number(tx, versionKey(key)) ?? 0) + 1
  // Written first, so that a rejection has something to take back.
  put(tx, versionKey(key), next)
  put(tx, registerKey(key), id)
  return version === -1 || version === next - 1 ? next : 'rejected'
}

/** Operations that the store holds. */
export function operationsIn(tx: ReadTx): number {
  return number(tx, COUNT_KEY) ?? 0
}

/** The rows of a store that has applied `operations`, in order of places. */
export function rowsAfter(operations: readonly Operation[]): Map<string, number> {
  const rows = new Map<string, number>()
  operations.forEach((operation, index) => {
    const { id, key, kind, version } = operation
    rows.set(COUNT_KEY, index + 1)
    rows.set(placeKey(index + 1), id)
    if (kind === 'add') {
      const length = (rows.get(lengthKey(key)) ?? 0) + 1
      rows.set(lengthKey(key), length)
      rows.set(itemKey(key, length), id)
    } else {
      const before = rows.get(versionKey(key)) ?? 0
      if (version !== -1 && version !== before) return
      rows.set(versionKey(key), before + 1)
      rows.set(registerKey(key), id)
    }
  })
  return rows
}

/** The rows of this database that a store holds. */
export function* rowsOf(tx: ReadTx): Iterable<[string, number]> {
  for (const [key, value] of tx.scan({ from: PREFIX, to: `${CHECKING}\x01` })) {
    yield [key, new ByteReader(value).varint()]
  }
}

/** The ids in a list. */
export function listIn(tx: ReadTx, key: string): number[] {
  const length = number(tx, lengthKey(key)) ?? 0
  const keys = Array.from({ length }, (_, i) => itemKey(key, i + 1))
  return tx.getMany(keys).map((value) => (value === undefined ? -1 : new ByteReader(value).varint()))
}

function number(tx: ReadTx, key: string): number | undefined {
  const value = tx.get(key)
  return value === undefined ? undefined : new ByteReader(value).varint()
}

function put(tx: ReadWriteTx, key: string, value: number): void {
  const writer = new ByteWriter(8)
  writer.varint(value)
  tx.put(key, writer.take())
}

const placeKey = (place: number): string => PREFIX + packTuple('place', place)
const lengthKey = (key: string): string => PREFIX + packTuple('length', key)
const itemKey = (key: string, at: number): string => PREFIX + packTuple('item', key, at)
const versionKey = (key: string): string => PREFIX + packTuple('version', key)
const registerKey = (key: string): string => PREFIX + packTuple('register', key)
