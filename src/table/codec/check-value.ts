// Does a value fit its column? Every misfit is an error that names column, type and value. Run by whoever takes rows from
// outside, before anything is encoded.

import { DelosError, type ErrorCode } from '../../base/delos-error.ts'
import type { ColumnSpec, JsonValue, Value } from '../schema/columns.ts'
import { shown } from '../schema/descriptor.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const LONE_SURROGATE = /\p{Surrogate}/u
const ASCII = /^[\x00-\x7f]*$/
const JSON_DEPTH_MAX = 64
/** Microseconds of the largest Date. */
const DATE_MICROS_MAX = 8_640_000_000_000_000_000n

/** Returns the value as it is kept (-0 as 0). Throws WRONG_TYPE, OUT_OF_RANGE, INVALID_TEXT. `where`: `column x of table y`. */
export function checkValue(spec: ColumnSpec, value: unknown, where: string): Value {
  if (value === null || value === undefined) {
    if (spec.nullable) return null
    throw misfit('WRONG_TYPE', spec, value, where)
  }
  switch (spec.kind) {
    case 'string':
      if (typeof value !== 'string') throw misfit('WRONG_TYPE', spec, value, where)
      requireText(value, where)
      return value
    case 'int64':
      return int64(spec, value, where)
    case 'double':
      if (typeof value !== 'number' || Number.isNaN(value)) throw misfit('WRONG_TYPE', spec, value, where)
      return value + 0
    case 'bool':
      if (typeof value !== 'boolean') throw misfit('WRONG_TYPE', spec, value, where)
      return value
    case 'bytes':
      if (!(value instanceof Uint8Array)) throw misfit('WRONG_TYPE', spec, value, where)
      return value
    case 'timestamp':
      return moment(spec, value, where)
    case 'enum':
      if (typeof value === 'string' && spec.values?.includes(value)) return value
      throw misfit('WRONG_TYPE', spec, value, where)
    case 'json':
      checkJson(value, where, 0)
      return value as JsonValue
    case 'list': {
      if (!Array.isArray(value)) throw misfit('WRONG_TYPE', spec, value, where)
      const items = spec.items as ColumnSpec
      return value.map((item) => checkValue(items, item, `an item of ${where}`))
    }
  }
}

/** Throws INVALID_TEXT if it has no UTF-8. */
export function requireText(text: string, where: string): void {
  if (ASCII.test(text) || !LONE_SURROGATE.test(text)) return
  throw new DelosError(
    'INVALID_TEXT',
    `${where}: the text has a lone surrogate: keep such content in a column of bytes`,
  )
}

function int64(spec: ColumnSpec, value: unknown, where: string): bigint {
  if (typeof value !== 'bigint') throw misfit('WRONG_TYPE', spec, value, where)
  if (value >= INT64_MIN && value <= INT64_MAX) return value
  throw misfit('OUT_OF_RANGE', spec, value, where)
}

function moment(spec: ColumnSpec, value: unknown, where: string): Value {
  if (spec.micros) return int64(spec, value, where)
  if (!(value instanceof Date)) throw misfit('WRONG_TYPE', spec, value, where)
  if (Number.isNaN(value.getTime())) throw misfit('OUT_OF_RANGE', spec, 'an invalid Date', where)
  return value
}

/** What an increment gives. Throws OUT_OF_RANGE. */
export function checkedSum(spec: ColumnSpec, sum: bigint | number, where: string): bigint | number {
  const isFit = typeof sum === 'number' ? !Number.isNaN(sum) : sum >= INT64_MIN && sum <= INT64_MAX
  if (isFit) return sum
  throw misfit('OUT_OF_RANGE', spec, sum, where)
}

/** Microseconds as a Date, which exists for a part of them only. */
export function dateOfMicros(micros: bigint): Date {
  return new Date(micros > DATE_MICROS_MAX || micros < -DATE_MICROS_MAX ? Number.NaN : Number(micros / 1000n))
}

function checkJson(value: unknown, where: string, depth: number): void {
  if (depth > JSON_DEPTH_MAX) {
    throw new DelosError('LIMIT_EXCEEDED', `${where}: JSON is nested deeper than ${JSON_DEPTH_MAX} levels`)
  }
  if (value === null || typeof value === 'boolean') return
  if (typeof value === 'string') return requireText(value, where)
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (Array.isArray(value)) {
    for (const item of value) checkJson(item, where, depth + 1)
    return
  }
  if (typeof value === 'object' && isPlain(value)) {
    for (const [name, member] of Object.entries(value)) {
      requireText(name, where)
      if (member !== undefined) checkJson(member, where, depth + 1)
    }
    return
  }
  throw new DelosError('WRONG_TYPE', `${where}: ${shownUnknown(value)} is not JSON`)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function misfit(code: ErrorCode, spec: ColumnSpec, value: unknown, where: string): DelosError {
  return new DelosError(code, `${where} holds ${described(spec)}, not ${shownUnknown(value)}`)
}

function described(spec: ColumnSpec): string {
  const kind = {
    string: 'a text',
    int64: 'a bigint from -2^63 to 2^63 - 1',
    double: 'a number that is not NaN',
    bool: 'a boolean',
    bytes: 'a Uint8Array',
    timestamp: spec.micros ? 'microseconds as a bigint' : 'a valid Date',
    json: 'JSON',
    enum: `one of ${spec.values?.join(', ')}`,
    list: 'an array',
  }[spec.kind]
  return spec.nullable ? `${kind}, or null` : kind
}

function shownUnknown(value: unknown): string {
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value === 'number') return String(value)
  if (typeof value === 'object' && value !== null && !(value instanceof Date) && !isPlain(value)) {
    return `a ${value.constructor?.name ?? 'object'}`
  }
  try {
    return shown(value as Value)
  } catch {
    return `a ${typeof value}` // What can't be shown (a cycle) is named by its type.
  }
}
