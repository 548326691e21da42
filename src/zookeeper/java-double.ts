// Numbers that ZooKeeper keeps as doubles: with a decimal point wherever they are shown.

/** A number that is printed with at least one and at most four decimals. */
export class JavaDouble {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  toString(): string {
    return javaDecimal(this.value)
  }
}

/** At least one and at most four decimals. */
export function javaDecimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? rounded.toFixed(1) : String(rounded)
}
