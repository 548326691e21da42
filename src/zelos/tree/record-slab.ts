// Buffers for node records, carved from larger ones. Apart from Node's own pool, because records live long in the cache: a
// record there would keep alive whatever short-lived bytes were allocated around it.

const SLAB_BYTES = 16 << 10
const CARVED_BYTES_MAX = 2 << 10

let slab: Buffer = Buffer.alloc(0)
let used = 0

/** Uninitialised memory. Large ones stand alone. */
export function allocateRecord(bytes: number): Buffer {
  if (bytes > CARVED_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
  if (used + bytes > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  const from = used
  used += bytes
  return slab.subarray(from, used)
}
