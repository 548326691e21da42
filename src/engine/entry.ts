// An entry of the log as engines see it: a map of headers and a payload. The codec is a stored format: golden files in
// testdata/entries, described in docs/formats.md.

/** One engine's header. */
export interface Header {
  readonly bytes: Uint8Array
  /** A server whose stack lacks this engine must stop before the entry instead of ignoring the header. */
  readonly mustUnderstand: boolean
}

/** Headers by engine name: a map, never a positional stack. An engine looks only for its own. Any ReadonlyMap is one. */
export interface Headers extends Iterable<readonly [string, Header]> {
  readonly size: number
  get(name: string): Header | undefined
  has(name: string): boolean
  keys(): Iterable<string>
}

/**
 * One header and those whose names are less. A list, since there are few: a small object a header, and searched in less time than
 * a hash takes; every engine asks it of every entry.
 */
export class HeaderList implements Headers {
  readonly size: number
  readonly name: string
  readonly header: Header
  /** Undefined in the empty list alone. */
  readonly lesser: HeaderList | undefined

  private constructor(name: string, header: Header, lesser: HeaderList | undefined) {
    this.name = name
    this.header = header
    this.lesser = lesser
    this.size = lesser === undefined ? 0 : lesser.size + 1
  }

  static empty(): HeaderList {
    return new HeaderList('', { bytes: new Uint8Array(0), mustUnderstand: false }, undefined)
  }

  static of(headers: Headers): HeaderList {
    if (headers instanceof HeaderList) return headers
    let list = NO_HEADERS
    for (const [name, header] of headers) list = list.with(name, header)
    return list
  }

  /** One more, which replaces one of that name. */
  with(name: string, header: Header): HeaderList {
    const { lesser } = this
    if (lesser === undefined || this.name < name) return new HeaderList(name, header, this)
    if (this.name === name) return new HeaderList(name, header, lesser)
    return new HeaderList(this.name, this.header, lesser.with(name, header))
  }

  /** As `with`, of a name that is greater than all of these. */
  withNext(name: string, header: Header): HeaderList {
    return new HeaderList(name, header, this)
  }

  get(name: string): Header | undefined {
    let at: HeaderList = this
    while (at.lesser !== undefined) {
      if (at.name === name) return at.header
      at = at.lesser
    }
    return undefined
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  *keys(): Generator<string> {
    for (const [name] of this) yield name
  }

  /** Names ascending. */
  *[Symbol.iterator](): Generator<readonly [string, Header]> {
    if (this.lesser === undefined) return
    yield* this.lesser
    yield [this.name, this.header]
  }
}

export const NO_HEADERS = HeaderList.empty()

/**
 * Of an entry that an engine raises itself in apply, for the layers above it (a timer that fired): nobody proposed it. Never in the
 * log. Known by its identity.
 */
export const RAISED_HEADERS: Headers = HeaderList.empty()

/** What travels down in propose and up in apply. */
export interface Entry {
  readonly headers: Headers
  /** undefined = control entry, never passed to a database. Not the same as an empty payload. */
  readonly payload: Uint8Array | undefined
  /** Place inside a batch, 0 outside one: (position, index) is unique among applied entries. */
  readonly index: number
}

/** An entry of the layer above, without headers yet. */
export function entryOf(payload: Uint8Array): Entry {
  return { headers: NO_HEADERS, payload, index: 0 }
}

/** The same entry with one more header. */
export function withHeader(entry: Entry, name: string, bytes: Uint8Array, mustUnderstand = false): Entry {
  const headers = HeaderList.of(entry.headers).with(name, { bytes, mustUnderstand })
  return { headers, payload: entry.payload, index: entry.index }
}

/** A control entry: a header of one engine and no payload. */
export function controlEntry(name: string, bytes: Uint8Array, mustUnderstand = false): Entry {
  return { headers: NO_HEADERS.with(name, { bytes, mustUnderstand }), payload: undefined, index: 0 }
}
