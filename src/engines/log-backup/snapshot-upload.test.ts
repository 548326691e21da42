import { expect, it } from 'vitest'
import { CompressedEnvelope } from '../../blobs/envelope.ts'
import { MemoryBlobStore } from '../../blobs/memory-blob-store.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { LogPos } from '../../log/position.ts'
import { SeededRandom } from '../../sim/seeded-random.ts'
import { SYNCHRONOUS } from '../../sim/workloads/backup/hostile-blobs.ts'
import type { Row } from '../../store/local-store.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { decodeManifest, decodePart } from './backup-codec.ts'
import { BackupNames } from './backup-names.ts'
import { LOG_BACKUP_OPTIONS } from './log-backup-options.ts'
import { putSnapshot } from './snapshot-upload.ts'

const HISTORY = '0123456789abcdef0123456789abcdef'
const cursor = 300 as LogPos
const names = new BackupNames('keys', HISTORY)
const rows = Array.from({ length: 40 }, (_, i): Row => [`keys\x00${String(i).padStart(3, '0')}`, Buffer.alloc(20, i)])

/** Uploads that one snapshot; it ends without a word after so many puts. */
function upload(store: MemoryBlobStore, partBytes: number, putsMax = Infinity, isWanted = () => true) {
  const envelope = new CompressedEnvelope({ random: new SeededRandom(partBytes), compression: SYNCHRONOUS })
  const client = new MemoryBlobStore()
  let puts = 0
  client.put = async (name, bytes) => {
    if (puts++ >= putsMax) throw new Error('killed')
    await new Promise((resolve) => setImmediate(resolve))
    await store.put(name, bytes)
  }
  const source = {
    identity: { historyId: HISTORY },
    openView: async () => ({ cursor, view: { scan: () => rows, close: () => undefined } }),
    newDigest: () => ({ add: () => undefined, read: () => new Map() }),
  } as unknown as CopySource
  return putSnapshot({
    source,
    target: { store: client, envelope },
    names,
    options: { ...LOG_BACKUP_OPTIONS, partBytes },
    timers: new ManualTime((callback) => void setImmediate(callback)),
    signal: new AbortController().signal,
    levels: new Map(),
    serverId: 'a',
    wallMs: () => 1,
    isWanted,
  })
}

/** As a restore reads it. */
async function restored(store: MemoryBlobStore): Promise<Row[]> {
  const envelope = new CompressedEnvelope({ random: new SeededRandom(1), compression: SYNCHRONOUS })
  const read = async (name: string): Promise<Uint8Array> => envelope.unwrap(name, await store.get(name))
  const manifest = decodeManifest(await read(names.manifest(cursor)), 'manifest')
  const found: Row[] = []
  for (let number = 0; number < manifest.parts; number++) {
    found.push(...decodePart(await read(names.part(manifest, number)), 'part').rows)
  }
  return found
}

it('a snapshot is whole, whoever uploads it again or at the same time, with parts of other sizes, and dies', async () => {
  for (let puts = 0; puts < 12; puts++) {
    const store = new MemoryBlobStore()
    await upload(store, 200)
    await upload(store, 500, puts).catch(() => undefined)
    expect(await restored(store)).toEqual(rows)
  }
  const store = new MemoryBlobStore()
  await Promise.all([upload(store, 200), upload(store, 500), upload(store, 90)])
  expect(await restored(store)).toEqual(rows)
})

it('a snapshot that another server has taken over is not gone on with', async () => {
  const store = new MemoryBlobStore()
  let asked = 0
  await expect(upload(store, 200, Infinity, () => asked++ < 2)).rejects.toMatchObject({ code: 'CONFLICT' })
  expect([...store.blobs.keys()].filter((name) => name.endsWith('manifest'))).toEqual([])
})
