// Filters as data become predicates over rows. Deterministic: partial indexes and conditions are decided by them in apply.

import { DelosError } from '../../base/delos-error.ts'
import type { ColumnSpec, Value } from '../schema/columns.ts'
import type { FilterData, OneFilterData } from '../schema/descriptor.ts'
import { requireRecord } from './check-request.ts'
import { checkValue } from './check-value.ts'
import type { RowData } from './row-codec.ts'

export type RowPredicate = (row: RowData) => boolean

type ValuePredicate = (value: Value) => boolean

const ALWAYS: RowPredicate = () => true

/** The columns that a filter can name. */
export type SpecOf = (column: string) => ColumnSpec

/** Throws for an unknown column (whatever `specOf` throws), WRONG_TYPE, INVALID_ARGUMENT. */
export function compileFilter(filter: FilterData | undefined, specOf: SpecOf): RowPredicate {
  if (filter === undefined) return ALWAYS
  if (!Array.isArray(filter)) return compileOne(filter as OneFilterData, specOf)
  const alternatives = filter.map((one: OneFilterData) => compileOne(one, specOf))
  return (row) => alternatives.some((matches) => matches(row))
}

/** Names of the columns that decide. */
export function filterColumns(filter: FilterData | undefined): readonly string[] {
  if (filter === undefined) return []
  const all = Array.isArray(filter) ? filter : [filter]
  return all.flatMap((one: OneFilterData) => Object.keys(one).filter((name) => one[name] !== undefined))
}

function compileOne(filter: OneFilterData, specOf: SpecOf): RowPredicate {
  requireRecord(filter, 'a filter')
  const tests: RowPredicate[] = []
  for (const [name, wanted] of Object.entries(filter)) {
    if (wanted === undefined) continue
    const matches = compileColumn(specOf(name), wanted, `the filter of column ${name}`)
    tests.push((row) => matches(row[name] as Value))
  }
  if (tests.length === 0) return ALWAYS
  if (tests.length === 1) return tests[0] as RowPredicate
  return (row) => {
    for (const test of tests) if (!test(row)) return false
    return true
  }
}

function compileColumn(spec: ColumnSpec, wanted: unknown, where: string): ValuePredicate {
  const free: ColumnSpec = { ...spec, nullable: true }
  if (!isComparison(wanted)) return equalTo(checkValue(free, wanted, where))
  const tests = Object.entries(wanted).flatMap(([operator, operand]) =>
    operand === undefined ? [] : [compileComparison(spec, operator, operand, where)],
  )
  return tests.length === 1 ? (tests[0] as ValuePredicate) : (value) => tests.every((test) => test(value))
}

function compileComparison(spec: ColumnSpec, operator: string, operand: unknown, where: string): ValuePredicate {
  const value = (given: unknown): Value => checkValue({ ...spec, nullable: true }, given, where)
  const bound = (given: unknown): Comparable => rankOf(spec, checkValue({ ...spec, nullable: false }, given, where))
  const compared = (test: (rank: Comparable) => boolean): ValuePredicate => {
    return (candidate) => candidate !== null && test(rankOf(spec, candidate))
  }
  switch (operator) {
    case 'eq':
      return equalTo(value(operand))
    case 'ne': {
      const same = equalTo(value(operand))
      return (candidate) => !same(candidate)
    }
    case 'in': {
      if (!Array.isArray(operand)) throw new DelosError('WRONG_TYPE', `${where}: \`in\` takes an array`)
      const same = operand.map((one) => equalTo(value(one)))
      return (candidate) => same.some((test) => test(candidate))
    }
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': {
      const limit = bound(operand)
      if (operator === 'lt') return compared((rank) => rank < limit)
      if (operator === 'lte') return compared((rank) => rank <= limit)
      return operator === 'gt' ? compared((rank) => rank > limit) : compared((rank) => rank >= limit)
    }
    case 'prefix': {
      if (spec.kind !== 'string' || typeof operand !== 'string') {
        throw new DelosError('WRONG_TYPE', `${where}: \`prefix\` is for texts`)
      }
      return (candidate) => typeof candidate === 'string' && candidate.startsWith(operand)
    }
    default:
      throw new DelosError(
        'INVALID_ARGUMENT',
        `${where}: no comparison ${operator}; there are eq, ne, lt, lte, gt, gte, in, prefix`,
      )
  }
}

type Comparable = string | number | bigint

/** What `<` compares. Texts by their UTF-8 bytes, as in keys. */
function rankOf(spec: ColumnSpec, value: Value): Comparable {
  if (typeof value === 'string')
    return spec.kind === 'enum' ? (spec.values as string[]).indexOf(value) : byteText(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Date) return value.getTime()
  if (value instanceof Uint8Array) return Buffer.from(value).latin1Slice(0, value.length)
  if (typeof value === 'number' || typeof value === 'bigint') return value
  throw new DelosError('WRONG_TYPE', `a column of type ${spec.kind} has no order`)
}

const BELOW_SURROGATES = /^[\x00-\ud7ff]*$/

function byteText(text: string): string {
  // Without surrogates and what is above them the order of UTF-16 is that of UTF-8.
  return BELOW_SURROGATES.test(text) ? text : utf16Sortable(text)
}

// Characters beyond U+FFFF are two surrogates, which sort below U+E000 to U+FFFF though their UTF-8 is above: swap the two.
function utf16Sortable(text: string): string {
  let sortable = ''
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const moved = code < 0xd800 ? code : code < 0xe000 ? code + 0x2000 : code - 0x800
    sortable += String.fromCharCode(moved)
  }
  return sortable
}

function equalTo(wanted: Value): ValuePredicate {
  if (wanted instanceof Date) {
    const ms = wanted.getTime()
    return (value) => value instanceof Date && value.getTime() === ms
  }
  if (wanted instanceof Uint8Array) {
    return (value) => value instanceof Uint8Array && Buffer.compare(value, wanted) === 0
  }
  if (typeof wanted === 'object' && wanted !== null) {
    throw new DelosError('WRONG_TYPE', 'JSON and lists are only compared with null')
  }
  return (value) => value === wanted
}

function isComparison(wanted: unknown): wanted is Readonly<Record<string, unknown>> {
  return (
    typeof wanted === 'object' &&
    wanted !== null &&
    !(wanted instanceof Date) &&
    !(wanted instanceof Uint8Array) &&
    !Array.isArray(wanted)
  )
}
