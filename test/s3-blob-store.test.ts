// Blobs in a bucket, over HTTP: the contract of BlobStore, and what services and networks do on bad days.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DelosError } from '../src/base/delos-error.ts'
import { blobStoreConformance } from '../src/blobs/blob-store.conformance.ts'
import { allBlobs } from '../src/blobs/blob-store.ts'
import { RetryingBlobStore, type RetryOptions } from '../src/blobs/retrying-blob-store.ts'
import { S3BlobStore } from '../src/blobs/s3-blob-store.ts'
import { nodeRuntime } from '../src/runtime/node-runtime.ts'
import { describeWith, peers } from './support/peers.ts'
import { type HttpFault, S3_BUCKET, S3_CREDENTIALS, S3Service } from './support/s3-service.ts'
import { delay } from './support/wait.ts'

const runtime = nodeRuntime()
const FAULTS: readonly HttpFault[] = [
  'slowDown',
  'serverError',
  'resetBeforeAnswer',
  'resetInBody',
  'truncated',
  'damaged',
]

describeWith(peers.s3rver, 'an S3 service', () => {
  let service: S3Service
  let spaces = 0
  beforeAll(async () => {
    service = await S3Service.start()
  })
  afterAll(() => service[Symbol.asyncDispose]())

  function open(prefix: string, requestMs = 5_000): S3BlobStore {
    const { endpoint } = service
    const where = { bucket: S3_BUCKET, prefix, endpoint, region: 'us-east-1', credentials: S3_CREDENTIALS }
    return new S3BlobStore({ ...where, requestMs }, runtime.timers)
  }

  function retrying(prefix: string, options: Partial<RetryOptions> = {}, requestMs?: number): RetryingBlobStore {
    return new RetryingBlobStore(open(prefix, requestMs), runtime, { pauseMs: 2, pauseMaxMs: 20, ...options })
  }

  async function under(faults: readonly HttpFault[], every: number, body: () => Promise<void>): Promise<void> {
    let at = 0
    service.fault = () => (at++ % every === 0 ? (faults[((at / every) % faults.length) | 0] as HttpFault) : 'none')
    try {
      await body()
    } finally {
      service.fault = () => 'none'
    }
  }

  async function isWhole(store: S3BlobStore, name: string): Promise<boolean> {
    return await store.get(name).then(
      () => true,
      () => false,
    )
  }

  blobStoreConformance('S3', { describe, it, expect }, async (body) => {
    const prefix = `suite-${spaces++}/of/mine`
    const store = open(prefix)
    const tamper = async (name: string, change: (stored: Buffer) => Buffer): Promise<void> => {
      // This service answers a put before the file is written. What was damaged before stays so.
      for (let attempt = 0; attempt < 20 && !(await isWhole(store, name)); attempt++) await delay(20)
      const folder = join(service.directory, S3_BUCKET, prefix, name.split('/').slice(0, -1).join('/'))
      const file = readdirSync(folder).find((one) => one === `${name.split('/').at(-1)}._S3rver_object`) as string
      writeFileSync(join(folder, file), change(readFileSync(join(folder, file))))
    }
    await body({ store, again: async () => open(prefix), tamper })
    await store.close()
  })

  it('is asked again after whatever can go wrong on the way, and what comes is never wrong', async () => {
    const store = retrying('faulty')
    const content = (i: number): Buffer => Buffer.alloc(1000 + i * 997, i)
    await under(FAULTS, 2, async () => {
      for (let i = 0; i < 24; i++) await store.put(`a/${String(i).padStart(2, '0')}.bin`, content(i))
      for (let i = 0; i < 24; i++) {
        const got = await store.get(`a/${String(i).padStart(2, '0')}.bin`)
        expect(Buffer.from(got).equals(content(i))).toBe(true)
      }
    })
    await under(['slowDown', 'resetBeforeAnswer', 'resetInBody'], 2, async () => {
      const names: string[] = []
      for await (const { name } of allBlobs(store, 'a/')) names.push(name)
      expect(names).toHaveLength(24)
      for (const name of names) await store.delete(name)
    })
    expect((await store.list('')).blobs).toEqual([])
    for (const fault of FAULTS) expect(service.faults.get(fault) ?? 0, fault).toBeGreaterThan(1)
    expect(store.retries).toBeGreaterThan(30)
    await store.close()
  })

  it('that stays away is UNREACHABLE after the deadline, not before, and nobody waits for a silent one', async () => {
    const store = retrying('away', { deadlineMs: 150 }, 50)
    await store.put('x.bin', Buffer.from('x'))
    for (const fault of ['slowDown', 'silent', 'resetBeforeAnswer'] as const) {
      const beganMs = runtime.clock.monotonicMs()
      await under([fault], 1, async () => {
        const calls = [store.get('x.bin'), store.put('y.bin', Buffer.from('y')), store.list('')]
        const codes = await Promise.all(calls.map((call) => (call as Promise<unknown>).catch((error) => error.code)))
        expect(codes).toEqual(['UNREACHABLE', 'UNREACHABLE', 'UNREACHABLE'])
      })
      expect(runtime.clock.monotonicMs() - beganMs).toBeGreaterThan(100)
    }
    expect(Buffer.from(await store.get('x.bin')).toString()).toBe('x')
    await store.close()
  })

  it('whose answers stay damaged is CORRUPT, not an endless loop', async () => {
    const store = retrying('damaged')
    await store.put('x.bin', Buffer.alloc(1000, 1))
    for (const fault of ['damaged', 'truncated'] as const) {
      await under([fault], 1, async () => {
        expect(await store.get('x.bin').catch((error: DelosError) => error.code)).toBe('CORRUPT')
      })
    }
    await store.close()
  })

  it('says at once what no second attempt can change', async () => {
    const { endpoint } = service
    const base = { prefix: '', endpoint, region: 'us-east-1', credentials: S3_CREDENTIALS }
    const none = new RetryingBlobStore(new S3BlobStore({ ...base, bucket: 'no-such' }, runtime.timers), runtime)
    const wrong = { ...base, bucket: S3_BUCKET, credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'knows' } }
    const refused = new RetryingBlobStore(new S3BlobStore(wrong, runtime.timers), runtime)
    for (const store of [none, refused]) {
      const error = await store.put('x.bin', Buffer.from('x')).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(DelosError)
      expect((error as DelosError).code).toBe('INVALID_ARGUMENT')
      expect(store.retries).toBe(0)
      await store.close()
    }
  })
})
