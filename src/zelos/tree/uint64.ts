// Non-negative safe integers at fixed offsets of a record, 8 bytes big-endian. A DataView is several times faster than a
// Buffer's checked writes, but dear to make: encoders keep one over a scratch buffer and copy it out.

const POWER_32 = 0x1_0000_0000

export function writeUint64(record: DataView, at: number, value: number): void {
  record.setUint32(at, value > 0xffff_ffff ? Math.floor(value / POWER_32) : 0)
  record.setUint32(at + 4, value >>> 0)
}

export function readUint64(record: Buffer, at: number): number {
  return record.readUInt32BE(at) * POWER_32 + record.readUInt32BE(at + 4)
}

/** A record of 8 bytes. */
export function uint64Record(value: number): Buffer {
  const record = Buffer.allocUnsafe(8)
  record.writeUInt32BE(Math.floor(value / POWER_32), 0)
  record.writeUInt32BE(value % POWER_32, 4)
  return record
}

/** The same bytes as a Buffer; free if they are one. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
