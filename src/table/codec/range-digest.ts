// A number that stands for the rows or index entries of a scanned range, in their order: if it is the same, the scan would see
// the same again. 52 bits; part of the entry format, since whoever scans and apply must agree.

import type { Key } from '../../base/key.ts'

const POWER_32 = 0x1_0000_0000
const PRIME_A = 0x0100_0193
const PRIME_B = 0x85eb_ca6b

export class RangeDigest {
  private a = 0x811c_9dc5
  private b = 0x9e37_79b9
  rows = 0

  /** The key of a row, or the entry of an index that leads to it, with its version. */
  addRow(key: Key, version: number): void {
    this.addKey(key)
    this.mix(version % POWER_32)
    this.mix(Math.floor(version / POWER_32))
    this.rows++
  }

  /** An entry alone, with the bytes of its value. */
  addEntry(key: Key, value: Uint8Array): void {
    this.addKey(key)
    this.mix(value.length)
    for (let i = 0; i < value.length; i++) this.mix(value[i] as number)
    this.rows++
  }

  get value(): number {
    return (this.a & 0xf_ffff) * POWER_32 + (this.b >>> 0)
  }

  private addKey(key: Key): void {
    this.mix(key.length)
    for (let i = 0; i < key.length; i++) this.mix(key.charCodeAt(i))
  }

  private mix(unit: number): void {
    this.a = Math.imul(this.a ^ unit, PRIME_A)
    this.b = Math.imul((this.b << 13) ^ (this.b >>> 19) ^ unit, PRIME_B)
  }
}
