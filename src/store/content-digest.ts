// The digests of a content that changes row by row: for each sub-store the sum of the hashes of its rows, as it is after each
// change. Not here: the hash (row-hash.ts), and who keeps a digest beside which content (the backends).

import type { createRowHasher } from './row-hash.ts'

/** Sums that follow a content. They start with those of no content at all. */
export interface ContentDigest {
  /** The row of `key` (bytes as stored) was `before` and is `after`; undefined is absent. */
  change(key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void
  /** The sums of both: of two contents that have no key in common, or of a content and what changed in it since. */
  plus(other: ContentDigest): ContentDigest
  copy(): ContentDigest
  /** Goes on from what `encode` made. False, and nothing has changed, if that was under another key or in another format. */
  load(record: Uint8Array): boolean
  /** Sub-store name → 32 hex digits, sub-stores without rows left out. See StoreDigest. */
  read(): Map<string, string>
  /** Format 1: u8 1 | 16 bytes digest key | per sub-store: u32 length of its name | name | 16 bytes sum. Little-endian. */
  encode(): Uint8Array<ArrayBuffer>
  /** The sums by name; who adds them up reads them. */
  readonly sums: ReadonlyMap<string, SubStoreSum>
}

/** Name and sum, the lowest lane first. */
export interface SubStoreSum {
  readonly name: Uint8Array
  readonly lanes: Uint32Array
}

/** Sums under `digestKey`, of nothing yet. Uses nothing but its arguments, for the thread that writes RocksDB (see createRowHasher). */
export function createContentDigest(digestKey: Uint8Array, hasherOf: typeof createRowHasher): ContentDigest {
  type Sums = Map<string, SubStoreSum>
  const FORMAT = 1
  const KEY_BYTES = 16
  const SUM_BYTES = 16
  const hash = hasherOf(digestKey)
  const hashed = new Uint32Array(4)
  const text = new TextDecoder()

  const sumOf = (sums: Sums, name: Uint8Array): SubStoreSum => {
    const id = text.decode(name)
    const found = sums.get(id)
    if (found !== undefined) return found
    const made = { name: name.slice(), lanes: new Uint32Array(4) }
    sums.set(id, made)
    return made
  }

  const add = (lanes: Uint32Array, more: Uint32Array): void => {
    let carry = 0
    for (let i = 0; i < 4; i++) {
      const sum = (lanes[i] as number) + (more[i] as number) + carry
      lanes[i] = sum
      carry = sum > 0xffff_ffff ? 1 : 0
    }
  }

  const subtract = (lanes: Uint32Array, less: Uint32Array): void => {
    let borrow = 0
    for (let i = 0; i < 4; i++) {
      const difference = (lanes[i] as number) - (less[i] as number) - borrow
      lanes[i] = difference
      borrow = difference < 0 ? 1 : 0
    }
  }

  const isPrefix = (name: Uint8Array, key: Uint8Array): boolean => {
    if (key[name.length] !== 0) return false
    for (let i = 0; i < name.length; i++) if (key[i] !== name[i]) return false
    return true
  }

  const over = (sums: Sums): ContentDigest => {
    // Rows of one sub-store come in runs.
    let last: SubStoreSum | undefined
    const subStoreOf = (key: Uint8Array): SubStoreSum => {
      if (last === undefined || !isPrefix(last.name, key))
        last = sumOf(sums, key.subarray(0, Math.max(0, key.indexOf(0))))
      return last
    }
    return {
      sums,
      change: (key, before, after) => {
        const { lanes } = subStoreOf(key)
        if (before !== undefined) {
          hash(key, before, hashed)
          subtract(lanes, hashed)
        }
        if (after !== undefined) {
          hash(key, after, hashed)
          add(lanes, hashed)
        }
      },
      plus: (other) => {
        const both: Sums = new Map()
        for (const { name, lanes } of [...sums.values(), ...other.sums.values()]) add(sumOf(both, name).lanes, lanes)
        return over(both)
      },
      copy: () => {
        const copied: Sums = new Map()
        for (const { name, lanes } of sums.values()) sumOf(copied, name).lanes.set(lanes)
        return over(copied)
      },
      load: (record) => {
        if (record[0] !== FORMAT || digestKey.some((byte, i) => record[1 + i] !== byte)) return false
        const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
        sums.clear()
        last = undefined
        for (let at = 1 + KEY_BYTES; at < record.length; ) {
          const nameAt = at + 4
          at = nameAt + view.getUint32(at, true)
          const { lanes } = sumOf(sums, record.subarray(nameAt, at))
          for (let i = 0; i < 4; i++, at += 4) lanes[i] = view.getUint32(at, true)
        }
        return true
      },
      read: () => {
        const digests = new Map<string, string>()
        for (const [name, { lanes }] of sums) {
          if (lanes.every((lane) => lane === 0)) continue
          const digits = Array.from(lanes, (lane) => lane.toString(16).padStart(8, '0'))
          digests.set(name, digits.reverse().join(''))
        }
        return digests
      },
      encode: () => {
        let length = 1 + KEY_BYTES
        for (const { name } of sums.values()) length += 4 + name.length + SUM_BYTES
        const bytes = new Uint8Array(length)
        const view = new DataView(bytes.buffer)
        bytes[0] = FORMAT
        bytes.set(digestKey, 1)
        let at = 1 + KEY_BYTES
        for (const { name, lanes } of sums.values()) {
          view.setUint32(at, name.length, true)
          bytes.set(name, at + 4)
          at += 4 + name.length
          for (const lane of lanes) {
            view.setUint32(at, lane, true)
            at += 4
          }
        }
        return bytes
      },
    }
  }

  return over(new Map())
}
