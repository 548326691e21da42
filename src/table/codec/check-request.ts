// Is a request what it looks like? What the compiler sees in a typed program nobody sees in JavaScript, and a misspelt member
// that is ignored does harm: a condition that is not checked, a filter that lets everything through.

import { DelosError } from '../../base/delos-error.ts'
import type { ReadLevel } from '../messages.ts'

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

/** Throws INVALID_ARGUMENT. */
export function requireArray(value: unknown, what: string): void {
  if (!Array.isArray(value))
    throw new DelosError('INVALID_ARGUMENT', `${what} is an array, not of type ${typeof value}`)
}

/** What is wrong with a read level that is not one of the texts. */
export function wrongLevel(level: Exclude<ReadLevel, string>): DelosError | undefined {
  const all = 'linearizable, lease, local, { session }, { staleMs }, { snapshot }'
  const wrong = (reason: string): DelosError => new DelosError('INVALID_ARGUMENT', `level: ${reason}; there are ${all}`)
  if (typeof level !== 'object' || level === null) return wrong(`${String(level)} is not one`)
  const [name = '', ...more] = Object.keys(level)
  const value = (level as Readonly<Record<string, unknown>>)[name]
  if (!LEVELS.has(name) || more.length > 0) return wrong('this is not one')
  if (name === 'staleMs') return typeof value === 'number' && value >= 0 ? undefined : wrong('staleMs is from 0 on')
  return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : wrong(`${name} is a position`)
}

const LEVELS: ReadonlySet<string> = new Set(['session', 'staleMs', 'snapshot'])
