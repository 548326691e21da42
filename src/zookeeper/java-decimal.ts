// Numbers with a decimal point as ZooKeeper prints them.

/** At least one and at most four decimals. */
export function javaDecimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? rounded.toFixed(1) : String(rounded)
}
