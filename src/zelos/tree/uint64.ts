// Non-negative safe integers at fixed offsets of a record, 8 bytes big-endian.

const POWER_32 = 0x1_0000_0000

export function writeUint64(record: Buffer, at: number, value: number): void {
  record.writeUInt32BE(Math.floor(value / POWER_32), at)
  record.writeUInt32BE(value % POWER_32, at + 4)
}

export function readUint64(record: Buffer, at: number): number {
  return record.readUInt32BE(at) * POWER_32 + record.readUInt32BE(at + 4)
}

/** The same bytes as a Buffer; free if they are one. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
