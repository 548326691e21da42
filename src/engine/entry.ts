// An entry of the log as engines see it: a map of headers and a payload. The codec is a stored format: golden files in
// testdata/entries, described in docs/formats.md.

/** One engine's header. */
export interface Header {
  readonly bytes: Uint8Array
  /** A server whose stack lacks this engine must stop before the entry instead of ignoring the header. */
  readonly mustUnderstand: boolean
}

/** Headers by engine name: a map, never a positional stack. An engine looks only for its own. */
export type Headers = ReadonlyMap<string, Header>

export const NO_HEADERS: Headers = new Map()

/**
 * Of an entry that an engine raises itself in apply, for the layers above it (a timer that fired): nobody proposed it. Never in the
 * log. Known by its identity.
 */
export const RAISED_HEADERS: Headers = new Map()

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
  // A copy of a map that is empty costs as much as one that is not.
  const headers = entry.headers.size === 0 ? new Map<string, Header>() : new Map(entry.headers)
  headers.set(name, { bytes, mustUnderstand })
  return { headers, payload: entry.payload, index: entry.index }
}

/** A control entry: a header of one engine and no payload. */
export function controlEntry(name: string, bytes: Uint8Array, mustUnderstand = false): Entry {
  return { headers: new Map([[name, { bytes, mustUnderstand }]]), payload: undefined, index: 0 }
}
