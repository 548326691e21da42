// Is a request what it looks like? What the compiler sees in a typed program nobody sees in JavaScript, and a misspelt member
// that is ignored does harm: a condition that is not checked, a filter that lets everything through.

import { DelosError } from '../../base/delos-error.ts'

/** Throws INVALID_ARGUMENT unless it is an object with members. */
export function requireRecord(value: unknown, what: string): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `of type ${typeof value}`
  throw new DelosError('INVALID_ARGUMENT', `${what} is an object, not ${found}`)
}

/** Throws INVALID_ARGUMENT for a member that nobody would look at. */
export function requireKnown(given: object, known: ReadonlySet<string>, what: string): void {
  for (const name in given) {
    if (known.has(name) || (given as Readonly<Record<string, unknown>>)[name] === undefined) continue
    throw new DelosError('INVALID_ARGUMENT', `${what} has no ${name}; there are ${[...known].join(', ')}`)
  }
}

/** Name of a table as a program has it. Throws INVALID_ARGUMENT. */
export function tableName(table: { readonly name: string } | undefined | null): string {
  const name: unknown = table?.name
  if (typeof name === 'string') return name
  throw new DelosError('INVALID_ARGUMENT', 'the first argument is a table that `defineTable` made')
}

/** Throws INVALID_ARGUMENT. */
export function requireArray(value: unknown, what: string): void {
  if (!Array.isArray(value))
    throw new DelosError('INVALID_ARGUMENT', `${what} is an array, not of type ${typeof value}`)
}
