// From the name of a place to the blob store there: a directory, or a bucket of an S3-compatible service. Reads the key that backups
// are encrypted with.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DelosError } from '../base/delos-error.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { DirectoryBlobStore } from '../blobs/directory-blob-store.ts'
import { CompressedEnvelope, type Envelope, KEY_BYTES } from '../blobs/envelope.ts'
import { RetryingBlobStore, type RetryOptions } from '../blobs/retrying-blob-store.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import type { Runtime } from '../runtime/runtime.ts'

/** Where backups are, and how to get at them. */
export interface BackupPlace {
  /** `dir:PATH` or `s3://BUCKET/PREFIX`. */
  readonly location: string
  /** Of an S3-compatible service. */
  readonly endpoint?: string | undefined
  /** Default us-east-1. */
  readonly region?: string | undefined
  /** Default: the environment, as every client of Amazon. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** 64 hex digits. */
  readonly keyFile?: string | undefined
  /** With a key file: see EnvelopeOptions. */
  readonly acceptClear?: boolean | undefined
}

export interface OpenBlobs {
  readonly store: BlobStore
  readonly envelope: Envelope
}

/** INVALID_ARGUMENT if the place can't be one, or the key file is none. Nothing is asked of a service yet. */
export async function openBlobs(
  place: BackupPlace,
  runtime: Runtime,
  retry: Partial<RetryOptions> = {},
): Promise<OpenBlobs> {
  const key = place.keyFile === undefined ? undefined : await readKey(place.keyFile)
  const store = new RetryingBlobStore(await storeAt(place, runtime), runtime, retry)
  const { acceptClear } = place
  return { store, envelope: new CompressedEnvelope({ random: runtime.random, key, acceptClear }) }
}

/** As openBlobs, with the runtime of this process. */
export function openBlobsHere(place: BackupPlace): Promise<OpenBlobs> {
  return openBlobs(place, nodeRuntime())
}

async function storeAt({ credentials, endpoint, location, region }: BackupPlace, runtime: Runtime): Promise<BlobStore> {
  const directory = /^dir:(.+)$/.exec(location)?.[1]
  if (directory !== undefined) return new DirectoryBlobStore(resolve(directory), runtime)
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]*)(?:\/(.*))?$/.exec(location) ?? []
  if (bucket === undefined) {
    throw new DelosError('INVALID_ARGUMENT', `${location} is no place for backups: dir:PATH or s3://BUCKET/PREFIX`)
  }
  // Only who needs the client library pays for loading it.
  const { S3BlobStore } = await import('../blobs/s3-blob-store.ts')
  const trimmed = prefix.replace(/^\/+|\/+$/g, '')
  return new S3BlobStore(
    { bucket, prefix: trimmed, endpoint, region: region ?? 'us-east-1', credentials },
    runtime.timers,
  )
}

async function readKey(file: string): Promise<Uint8Array> {
  let content: string
  try {
    content = (await readFile(file, 'latin1')).trim()
  } catch (error) {
    throw DelosError.from(error, 'INVALID_ARGUMENT', `can't read the key in ${file}`)
  }
  const key = /^[0-9a-fA-F]*$/.test(content) ? Buffer.from(content, 'hex') : Buffer.alloc(0)
  if (key.length !== KEY_BYTES) {
    throw new DelosError('INVALID_ARGUMENT', `${file} holds no key: ${2 * KEY_BYTES} hex digits are expected`)
  }
  return key
}
