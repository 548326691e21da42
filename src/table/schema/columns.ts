// Column builders: what a column holds, as data for the machine and as a type for the compiler. Not here: how values become
// bytes (codec/), what a table is (define-table.ts).

/** What a column can hold. `json` and `list` can't be part of a key or an index. */
export type ColumnKind = 'string' | 'int64' | 'double' | 'bool' | 'bytes' | 'timestamp' | 'json' | 'enum' | 'list'

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined }

/** Any value of any column. `null` only where a column is nullable. */
export type Value = string | bigint | number | boolean | Uint8Array | Date | JsonValue | readonly Value[] | null

/** A column as data: what is stored of it, and what a remote client is told. */
export interface ColumnSpec {
  readonly kind: ColumnKind
  readonly nullable: boolean
  /** The value where a row leaves it out, also for rows that were written before the column was added. */
  readonly fallback?: Value
  /** Made by the server that proposes the row: a UUID whose order is that of creation, or the time of the proposal. */
  readonly generated?: 'uuid' | 'now'
  /** enum: in their order. */
  readonly values?: readonly string[]
  /** list: what its items are; never null, never lists or json. */
  readonly items?: ColumnSpec
  /** timestamp: microseconds as bigint instead of a Date. */
  readonly micros?: boolean
}

/** A column with the type of its values. `Optional`: a new row may leave it out. */
export class Column<Kind extends ColumnKind = ColumnKind, T = unknown, Optional extends boolean = boolean> {
  readonly kind: Kind
  readonly spec: ColumnSpec
  /** For the compiler alone. */
  declare readonly type: T
  declare readonly optional: Optional

  constructor(kind: Kind, spec: ColumnSpec) {
    this.kind = kind
    this.spec = spec
  }

  /** Null is a value too, and the one of rows that leave the column out. Null sorts before everything else. */
  nullable(): Column<Kind, T | null, true> {
    return new Column(this.kind, { ...this.spec, nullable: true, fallback: this.spec.fallback ?? null })
  }

  default(value: T): Column<Kind, T, true> {
    return new Column(this.kind, { ...this.spec, fallback: value as Value })
  }
}

function column<Kind extends ColumnKind, T>(kind: Kind, rest: Partial<ColumnSpec> = {}): Column<Kind, T, false> {
  return new Column(kind, { kind, nullable: false, ...rest })
}

/** A text; sorted by its UTF-8 bytes. */
export function string(): Column<'string', string, false> {
  return column('string')
}

/** A text that is generated where a new row leaves it out: 36 characters, unique, ascending with time. */
export function uuid(): Column<'string', string, true> {
  return new Column('string', { kind: 'string', nullable: false, generated: 'uuid' })
}

/** A whole number from -2^63 to 2^63 - 1. */
export function int64(): Column<'int64', bigint, false> {
  return column('int64')
}

/** An IEEE double without NaN; -0 is 0. */
export function double(): Column<'double', number, false> {
  return column('double')
}

export function bool(): Column<'bool', boolean, false> {
  return column('bool')
}

export function bytes(): Column<'bytes', Uint8Array, false> {
  return column('bytes')
}

/** Microseconds since 1970, as a Date, which has milliseconds, or `{ as: 'bigint' }` in full. */
export function timestamp(): Column<'timestamp', Date, false>
export function timestamp(options: { readonly as: 'bigint' }): Column<'timestamp', bigint, false>
export function timestamp(options?: { readonly as: 'bigint' }): Column<'timestamp', never, false> {
  return column('timestamp', options === undefined ? {} : { micros: true })
}

/** A timestamp that is generated where a new row leaves it out: the wall clock of the server that proposed the row. */
export function createdAt(): Column<'timestamp', Date, true> {
  return new Column('timestamp', { kind: 'timestamp', nullable: false, generated: 'now' })
}

/** Any JSON value; `T` is believed, not checked. */
export function json<T extends JsonValue = JsonValue>(): Column<'json', T, false> {
  return column('json')
}

/** One of these texts, sorted in this order. Values can be added at the end later. */
export function enumOf<const V extends readonly string[]>(...values: V): Column<'enum', V[number], false> {
  return column('enum', { values })
}

/** Items of one type. */
export function list<Kind extends Exclude<ColumnKind, 'json' | 'list'>, T>(
  items: Column<Kind, T, boolean>,
): Column<'list', readonly T[], false> {
  return column('list', { items: items.spec })
}
