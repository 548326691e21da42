// Blobs in a bucket of a service that speaks Amazon's S3 protocol, through its client library. One call is one HTTP request; trying
// again is retrying-blob-store.ts. A blob is small enough for one request, so there are no multipart uploads to leave behind.

import { createHash } from 'node:crypto'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { DelosError } from '../base/delos-error.ts'
import type { Timers } from '../runtime/runtime.ts'
import {
  BLOB_BYTES_MAX,
  type BlobBytes,
  type BlobInfo,
  type BlobPage,
  type BlobStore,
  type CallOptions,
  checkBlobName,
  type ListOptions,
} from './blob-store.ts'
import { CHECKSUM_BYTES, withChecksum, withoutChecksum } from './checked-bytes.ts'

export interface S3Options {
  readonly bucket: string
  /** Before every name, without slashes around it; may be empty. */
  readonly prefix: string
  /** `http://host:port` or `https://…`; undefined: Amazon's own, of the region. */
  readonly endpoint?: string | undefined
  readonly region: string
  /** Undefined: what Amazon's clients look at (environment, ~/.aws, the machine's role). */
  readonly credentials?: S3Credentials | undefined
  /** The bucket in the path instead of the host's name: what nearly all services but Amazon's need. Default: with an endpoint. */
  readonly pathStyle?: boolean | undefined
  /** Longest wait for the answer of one request. Default 30 s. */
  readonly requestMs?: number
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

const REQUEST_MS = 30_000
const CONNECT_MS = 5_000
const PAGE_MAX = 1000
/** Of answers that say "not now". */
const LATER = new Set([408, 425, 429, 500, 502, 503, 504])
/** The service received other bytes than were sent. */
const DAMAGED_ON_THE_WAY = new Set(['BadDigest', 'InvalidDigest', 'IncompleteBody', 'RequestTimeout'])

/** A failure as the library throws it. */
interface Failure {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

export class S3BlobStore implements BlobStore {
  readonly location: string
  private readonly client: S3Client
  private readonly bucket: string
  private readonly prefix: string
  private readonly requestMs: number
  private readonly timers: Timers
  private closed = false

  constructor(options: S3Options, timers: Timers) {
    const { bucket, credentials, endpoint, region } = options
    this.bucket = bucket
    this.prefix = options.prefix === '' ? '' : `${options.prefix}/`
    this.location = `s3://${bucket}/${options.prefix}${endpoint === undefined ? '' : ` at ${endpoint}`}`
    this.requestMs = options.requestMs ?? REQUEST_MS
    this.timers = timers
    this.client = new S3Client({
      region,
      maxAttempts: 1,
      forcePathStyle: options.pathStyle ?? endpoint !== undefined,
      // What newer services add to requests and answers by themselves, older ones refuse; blobs have a checksum of their own.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: this.requestMs },
      ...(endpoint !== undefined && { endpoint }),
      ...(credentials !== undefined && { credentials: withoutUndefined(credentials) }),
    })
  }

  async put(name: string, bytes: BlobBytes, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    // One body of known length, which is small as stored: nothing that has to be begun again piece by piece when it fails.
    const stored = Buffer.concat([...withChecksum(name, bytes)])
    const command = new PutObjectCommand({
      Bucket: this.bucket,
      Key: this.prefix + name,
      Body: stored,
      ContentLength: stored.length,
      ContentMD5: createHash('md5').update(stored).digest('base64'),
      ContentType: 'application/octet-stream',
    })
    await this.call(`put ${name}`, signal, (abortSignal) => this.client.send(command, { abortSignal }))
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<Uint8Array> {
    checkBlobName(name)
    const command = new GetObjectCommand({ Bucket: this.bucket, Key: this.prefix + name })
    const stored = await this.call(`get ${name}`, signal, async (abortSignal) => {
      const { Body } = await this.client.send(command, { abortSignal })
      return await collected(Body as AsyncIterable<Uint8Array> | undefined, name)
    })
    return withoutChecksum(name, stored, `${name} in ${this.location}`)
  }

  async list(prefix: string, { after, max = PAGE_MAX, signal }: ListOptions & CallOptions = {}): Promise<BlobPage> {
    const blobs: BlobInfo[] = []
    let startAfter = after === undefined ? undefined : this.prefix + after
    for (;;) {
      // Version 1 of this call: it goes on from a name, which all services know, and not from a token of their making.
      const page = new ListObjectsCommand({
        Bucket: this.bucket,
        Prefix: this.prefix + prefix,
        MaxKeys: max - blobs.length,
        ...(startAfter !== undefined && { Marker: startAfter }),
      })
      const answer = await this.call(`list ${prefix}`, signal, (abortSignal) => this.client.send(page, { abortSignal }))
      for (const { Key = '', Size = 0 } of answer.Contents ?? []) {
        const name = Key.slice(this.prefix.length)
        startAfter = Key
        if (name.includes('.')) blobs.push({ name, bytes: Size })
      }
      if (answer.IsTruncated !== true) return { blobs, more: false }
      if (blobs.length >= max) return { blobs, more: true }
      if ((answer.Contents ?? []).length === 0) {
        throw new DelosError('UNREACHABLE', `${this.location}: a list says that there is more, and gives nothing`)
      }
    }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    const command = new DeleteObjectCommand({ Bucket: this.bucket, Key: this.prefix + name })
    await this.call(`delete ${name}`, signal, (abortSignal) => this.client.send(command, { abortSignal }))
  }

  async close(): Promise<void> {
    this.closed = true
    this.client.destroy()
  }

  /** With a deadline over all of it, the body included: the library's own ends with the headers. */
  private async call<T>(
    what: string,
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.closed || signal?.aborted === true) throw new DelosError('CLOSED', `${what}: the call was ended`)
    const controller = new AbortController()
    const abort = (): void => controller.abort()
    signal?.addEventListener('abort', abort)
    const deadline = { passed: false }
    const timer = this.timers.after(this.requestMs, () => {
      deadline.passed = true
      abort()
    })
    try {
      return await send(controller.signal)
    } catch (thrown) {
      if (controller.signal.aborted && !deadline.passed) throw new DelosError('CLOSED', `${what}: the call was ended`)
      const reason = deadline.passed ? `no answer within ${this.requestMs} ms` : undefined
      throw this.failure(what, thrown, reason)
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', abort)
    }
  }

  private failure(what: string, thrown: unknown, reason: string | undefined): DelosError {
    if (thrown instanceof DelosError) return thrown
    const { $metadata, code, message, name } = thrown as Failure
    const status = $metadata?.httpStatusCode
    const said = reason ?? [name, code, message].filter((part) => part !== undefined && part !== 'Error').join(': ')
    const where = `${this.location}: ${what}: ${said}${status === undefined ? '' : ` (HTTP ${status})`}`
    // Without a cause: the library's errors carry request, answer and sockets, which nobody wants in a log.
    const error = (of: 'INVALID_ARGUMENT' | 'NOT_FOUND' | 'UNREACHABLE'): DelosError => new DelosError(of, where)
    if (reason !== undefined || DAMAGED_ON_THE_WAY.has(name ?? '')) return error('UNREACHABLE')
    if (name === 'NoSuchKey') return error('NOT_FOUND')
    if (name === 'CredentialsProviderError') return error('INVALID_ARGUMENT')
    // Without a status, or with a good one whose body could not be read, it was the way there.
    if (status === undefined || status < 400 || LATER.has(status)) return error('UNREACHABLE')
    return error('INVALID_ARGUMENT')
  }
}

function withoutUndefined({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
}

async function collected(body: AsyncIterable<Uint8Array> | undefined, name: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body ?? []) {
    bytes += part.length
    if (bytes > BLOB_BYTES_MAX + CHECKSUM_BYTES) {
      throw new DelosError('CORRUPT', `${name} has more than ${BLOB_BYTES_MAX + CHECKSUM_BYTES} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}
