// What the checking database has promised so far, over all lives of its server: every operation at one place, its result the one
// that the order of places gives, nothing acknowledged lost, order in real time.

import type { ReadTx } from '../../../store/local-store.ts'
import { check } from '../../workload.ts'
import { listIn, type Operation, type OperationResult, operationsIn, rowsAfter, rowsOf } from './checking-database.ts'

/** Unknown: no answer yet, or INDETERMINATE, or the process died first. */
export interface OperationRecord {
  readonly operation: Operation
  /** Places up to this one were taken before it was proposed. */
  readonly floor: number
  fate: 'unknown' | 'acknowledged' | 'refused'
  place: number | undefined
}

export class CheckingModel {
  /** Places up to this one are taken: an acknowledgement or a read has shown it. */
  floor = 0
  private readonly records: OperationRecord[] = []
  /** By place, from 1. */
  private readonly order: { readonly record: OperationRecord; readonly value: OperationResult['value'] }[] = []
  private readonly lengths = new Map<string, number>()
  private readonly versions = new Map<string, number>()

  /** A new operation. `versionOff` is added to the version that is there, as far as known; undefined: any version is fine. */
  begin(kind: Operation['kind'], key: string, versionOff: number | undefined, ballast: number): OperationRecord {
    const version = versionOff === undefined ? -1 : (this.versions.get(key) ?? 0) + versionOff
    const operation: Operation = { id: this.records.length, kind, key, version, ballast }
    const record: OperationRecord = { operation, floor: this.floor, fate: 'unknown', place: undefined }
    this.records.push(record)
    return record
  }

  /** A server has applied an operation, for the first time or again. */
  applied(operation: Operation, { place, value }: OperationResult): void {
    const record = this.records[operation.id]
    check(record !== undefined, `operation ${operation.id} was applied and never proposed`)
    const known = this.order[place - 1]
    if (known === undefined) this.add(record, place)
    else
      check(known.record === record, `place ${place} held ${known.record.operation.id} and now holds ${operation.id}`)
    const expected = this.order[place - 1]?.value
    check(value === expected, `operation ${operation.id} at place ${place} gave ${value} instead of ${expected}`)
  }

  acknowledged(record: OperationRecord, { place, value }: OperationResult): void {
    const { id } = record.operation
    check(record.place === place, `operation ${id} was answered place ${place}, it was applied at ${record.place}`)
    const expected = this.order[place - 1]?.value
    check(value === expected, `operation ${id} at place ${place} was answered ${value} instead of ${expected}`)
    record.fate = 'acknowledged'
    this.raise(place)
  }

  refused(record: OperationRecord): void {
    const { operation, place } = record
    check(place === undefined, `operation ${operation.id} was refused and is at place ${place}`)
    record.fate = 'refused'
  }

  /** A read point that was asked for when `floor` was `asked`; looks at the list of `key`. */
  read(asked: number, tx: ReadTx, key: string): void {
    const places = operationsIn(tx)
    check(places >= asked, `a sync shows ${places} operations, though ${asked} were there before it`)
    check(places <= this.order.length, `a store holds ${places} operations, ${this.order.length} were applied`)
    const ids = this.order
      .slice(0, places)
      .filter(({ record }) => record.operation.kind === 'add' && record.operation.key === key)
      .map(({ record }) => record.operation.id)
    check(listIn(tx, key).join() === ids.join(), `the list ${key} is not what ${places} operations make of it`)
    this.raise(places)
  }

  /** All of a store, at whatever point of the log it stands. */
  content(tx: ReadTx): void {
    const places = operationsIn(tx)
    const operations = this.order.slice(0, places).map(({ record }) => record.operation)
    check(operations.length === places, `a store holds ${places} operations, ${operations.length} were applied`)
    const expected = rowsAfter(operations)
    let rows = 0
    for (const [key, value] of rowsOf(tx)) {
      rows++
      const right = expected.get(key)
      check(value === right, `after ${places} operations ${JSON.stringify(key)} is ${value} instead of ${right}`)
    }
    check(rows === expected.size, `after ${places} operations there are ${rows} rows instead of ${expected.size}`)
  }

  private add(record: OperationRecord, place: number): void {
    const { id } = record.operation
    check(place === this.order.length + 1, `operation ${id} is at place ${place} after place ${this.order.length}`)
    check(record.place === undefined, `operation ${id} was applied at place ${record.place} and at ${place}`)
    check(record.fate !== 'refused', `operation ${id} was refused and is at place ${place}`)
    check(place > record.floor, `operation ${id} is at place ${place}, taken before it was proposed`)
    record.place = place
    this.order.push({ record, value: this.valueOf(record.operation) })
  }

  private valueOf({ kind, key, version }: Operation): number | 'rejected' {
    if (kind === 'add') {
      const length = (this.lengths.get(key) ?? 0) + 1
      this.lengths.set(key, length)
      return length
    }
    const before = this.versions.get(key) ?? 0
    if (version !== -1 && version !== before) return 'rejected'
    this.versions.set(key, before + 1)
    return before + 1
  }

  private raise(places: number): void {
    if (places > this.floor) this.floor = places
  }
}
