// Assertions: on in production. A failed one is a bug in this program, never bad input and never a failing disk.

/** Thrown by a failed assertion. Nothing catches it to go on: a database whose apply throws one stops. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure'
}

/** Throws `AssertionFailure` unless `condition` holds. `message` states the invariant that was broken. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message)
}

/** Ends every switch over a closed union: the compiler proves that it can't be reached, the assertion guards casts. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`)
}
