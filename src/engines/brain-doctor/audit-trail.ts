// What operators have changed, in BrainDoctor's range: who, when, why, and every row before and after. Bounded: the oldest records
// go. Nothing of it is held in memory, so that it may be edited (by force) like anything else.
//
//   key    prefix · "h" · u64 number        value  u8 format = 1 · varint position · the request as in its header

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyUint, uintOfKey } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import { type EditRequest, readRequest, writeRequest } from './edit-codec.ts'

/** Replicated behaviour: past either the oldest records go; the newest always stays. */
export const AUDIT_RECORDS_MAX = 1000
export const AUDIT_BYTES_MAX = 16 * 1024 * 1024

const FORMAT = 1
const NUMBER_BYTES = 8

export interface AuditRecord extends EditRequest {
  /** Counts from 1; one that is missing went to make room. */
  readonly number: number
  /** Where it was applied. */
  readonly position: LogPos
}

export class AuditTrail {
  private readonly prefix: Key

  constructor(enginePrefix: Key) {
    this.prefix = `${enginePrefix}h`
  }

  /** False, and nothing is written, if no number is left: only a row that was put by force can have the highest. */
  append(tx: ReadWriteTx, request: EditRequest, position: LogPos): boolean {
    const rows = [...tx.scan(rangeOfPrefix(this.prefix))].filter(([key]) => this.isRecord(key))
    const last = rows.at(-1)
    const number = last === undefined ? 1 : this.numberOf(last[0]) + 1
    if (!Number.isSafeInteger(number)) return false
    const record = encode(request, position)
    let bytes = record.length + rows.reduce((sum, [, value]) => sum + value.length, 0)
    let count = rows.length + 1
    for (const [key, value] of rows) {
      if (count <= AUDIT_RECORDS_MAX && bytes <= AUDIT_BYTES_MAX) break
      tx.delete(key)
      bytes -= value.length
      count--
    }
    tx.put(this.prefix + keyUint(number), record)
    return true
  }

  /** The newest first; at most `limit`. A record that can't be read is passed over. */
  newest(tx: ReadTx, limit: number): AuditRecord[] {
    const found: AuditRecord[] = []
    for (const [key, value] of tx.scan(rangeOfPrefix(this.prefix), { reverse: true })) {
      if (found.length >= limit) break
      const record = this.isRecord(key) ? decode(this.numberOf(key), value) : undefined
      if (record !== undefined) found.push(record)
    }
    return found
  }

  private isRecord(key: Key): boolean {
    return key.length === this.prefix.length + NUMBER_BYTES
  }

  private numberOf(key: Key): number {
    return uintOfKey(key, this.prefix.length)
  }
}

function encode(request: EditRequest, position: LogPos): Uint8Array {
  const writer = new ByteWriter(256)
  writer.u8(FORMAT)
  writer.varint(position)
  writeRequest(writer, request)
  return writer.toBytes()
}

function decode(number: number, value: Uint8Array): AuditRecord | undefined {
  try {
    const reader = new ByteReader(value)
    if (reader.u8() !== FORMAT) return undefined
    const position = reader.varint() as LogPos
    return { number, position, ...readRequest(reader) }
  } catch (error) {
    // Put by force: what it says is nobody's business.
    if (error instanceof DelosError) return undefined
    throw error
  }
}
