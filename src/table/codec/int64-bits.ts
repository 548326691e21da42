// 64-bit integers between bigint, two 32-bit halves and doubles, through one scratch buffer: no division of bigints.

const words = new Uint32Array(2)
const signed = new BigInt64Array(words.buffer)
const float = new Float64Array(words.buffer)

// The scratch is in the machine's order.
float[0] = 1
const HIGH = words[1] === 0 ? 0 : 1
const LOW = 1 - HIGH

/** Of the value that was loaded last. */
export const bits = { high: 0, low: 0 }

export function loadInt64(value: bigint): void {
  signed[0] = value
  bits.high = words[HIGH] as number
  bits.low = words[LOW] as number
}

export function int64Of(high: number, low: number): bigint {
  words[HIGH] = high
  words[LOW] = low
  return signed[0] as bigint
}

export function loadDouble(value: number): void {
  float[0] = value
  bits.high = words[HIGH] as number
  bits.low = words[LOW] as number
}

export function doubleOf(high: number, low: number): number {
  words[HIGH] = high
  words[LOW] = low
  return float[0] as number
}
