// The contract of object storage: whole, named, immutable pieces of bytes, kept by something that outlives this server. Not
// here: what is in them (backups: engines/log-backup), and trying again (retrying-blob-store.ts).
//
// Rules, checked by blob-store.conformance.ts on every implementation:
//  1. A resolved put is durable, and visible to every later get and list. One that failed may have happened, whole, or not.
//  2. A put replaces what had that name, atomically: a get gives all of the old or all of the new.
//  3. A get gives the very bytes that were put, or rejects with CORRUPT. Nothing is silently wrong or short.
//  4. A list is ascending by name and complete for what was put before it; what is put or deleted meanwhile may be in it.
//     Where siblings differ in `-`, `.` or `/`, some services order them their own way: don't page over such.
//  5. A delete of what is not there is done. All calls may be made again.

import { assert } from '../base/assert.ts'

/** The largest blob. Whoever has more makes several: so memory is bounded, and no upload is ever half done. */
export const BLOB_BYTES_MAX = 32 * 1024 * 1024

/** What is put: in one piece, or in several that follow one another. */
export type BlobBytes = Uint8Array | readonly Uint8Array[]

/** A listed blob. */
export interface BlobInfo {
  readonly name: string
  /** As stored, checksum included. */
  readonly bytes: number
}

export interface BlobPage {
  /** Ascending by name, at least one unless `more` is false. */
  readonly blobs: readonly BlobInfo[]
  /** There are others: ask again after the last name. */
  readonly more: boolean
}

export interface ListOptions {
  /** Only names that sort after this one. */
  readonly after?: string | undefined
  /** Blobs of one page, at most 1000. Default 1000. */
  readonly max?: number
}

export interface CallOptions {
  /** Ends the call with CLOSED; what it did stays. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Failures reject with DelosError. Worth trying again: UNREACHABLE, TIMEOUT. Not by itself: NOT_FOUND (get), CORRUPT,
 * DISK_FULL, IO_ERROR, INVALID_ARGUMENT (no such bucket, no permission, a wrong name), LIMIT_EXCEEDED, CLOSED.
 */
export interface BlobStore {
  /** Where it is, for messages: no secrets. */
  readonly location: string
  /** `bytes` must not be changed until it resolves. */
  put(name: string, bytes: BlobBytes, options?: CallOptions): Promise<void>
  get(name: string, options?: CallOptions): Promise<Uint8Array>
  /** Blobs whose names start with `prefix`. */
  list(prefix: string, options?: ListOptions & CallOptions): Promise<BlobPage>
  delete(name: string, options?: CallOptions): Promise<void>
  close(): Promise<void>
}

const NAME = /^([a-z0-9][a-z0-9-]*\/)*[a-z0-9][a-z0-9-]*\.[a-z0-9.-]*[a-z0-9]$/
const NAME_CHARS_MAX = 512

/**
 * Names are paths: parts of lower-case letters, digits and `-`, divided by `/`; the last part has a dot and no other has, so
 * that in a directory no name is both a file and a folder.
 */
export function checkBlobName(name: string): void {
  assert(name.length <= NAME_CHARS_MAX && NAME.test(name), `not a name of a blob: ${name}`)
}

/** All blobs with that prefix, page by page. */
export async function* allBlobs(store: BlobStore, prefix: string, options: CallOptions = {}): AsyncIterable<BlobInfo> {
  let after: string | undefined
  for (;;) {
    const { blobs, more } = await store.list(prefix, { ...options, after })
    yield* blobs
    if (!more) return
    after = blobs.at(-1)?.name
  }
}
