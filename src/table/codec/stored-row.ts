// A row as it lies in the store: a head (version, and when it expires) and the bytes of the row. Decoded when somebody asks.
//
//   8 bytes   version: the position of the transaction that wrote it; the top bit says that an expiry follows
//   8 bytes   the tick at which it expires, if the top bit is set
//   row       row-codec.ts

import { DelosError } from '../../base/delos-error.ts'
import type { CompiledTable } from './compiled-table.ts'
import type { RowData } from './row-codec.ts'

const POWER_32 = 0x1_0000_0000
const HAS_EXPIRY = 0x80

export class StoredRow {
  /** As stored. Never changed. */
  readonly bytes: Buffer
  readonly version: number
  /** 0: never. */
  readonly expiryTick: number
  private decoded: RowData | undefined

  /** `row`: what the bytes decode to, where it is known. */
  constructor(bytes: Buffer, row?: RowData) {
    if (bytes.length < 9) throw new DelosError('CORRUPT', `a row of ${bytes.length} bytes`)
    this.bytes = bytes
    this.version = (bytes.readUInt32BE(0) & 0x7fff_ffff) * POWER_32 + bytes.readUInt32BE(4)
    this.expiryTick = ((bytes[0] as number) & HAS_EXPIRY) === 0 ? 0 : readUint(bytes, 8)
    this.decoded = row
  }

  /** Shared with others: not to be changed. `table`: of the schema that is in force. */
  row(table: CompiledTable): RowData {
    this.decoded ??= table.rows.read(this.bytes, this.expiryTick === 0 ? 8 : 16)
    return this.decoded
  }

  /** What it keeps alive, roughly. */
  get sizeBytes(): number {
    return 400 + this.bytes.length * 2
  }
}

/** The value to store. The head is written in front of a copy of `row`. */
export function storedBytes(version: number, expiryTick: number, row: Uint8Array): Buffer {
  const head = expiryTick === 0 ? 8 : 16
  const bytes = Buffer.allocUnsafe(head + row.length)
  bytes.writeUInt32BE(Math.floor(version / POWER_32), 0)
  bytes.writeUInt32BE(version % POWER_32, 4)
  if (expiryTick > 0) {
    bytes[0] = (bytes[0] as number) | HAS_EXPIRY
    bytes.writeUInt32BE(Math.floor(expiryTick / POWER_32), 8)
    bytes.writeUInt32BE(expiryTick % POWER_32, 12)
  }
  bytes.set(row, head)
  return bytes
}

/** The version alone, out of the stored bytes. */
export function versionOfStored(bytes: Uint8Array): number {
  const buffer = asBuffer(bytes)
  return (buffer.readUInt32BE(0) & 0x7fff_ffff) * POWER_32 + buffer.readUInt32BE(4)
}

export function storedRow(bytes: Uint8Array): StoredRow {
  return new StoredRow(asBuffer(bytes))
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function readUint(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * POWER_32 + bytes.readUInt32BE(at + 4)
}
