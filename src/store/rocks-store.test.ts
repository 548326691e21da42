import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { NodeDisk } from '../runtime/node-disk.ts'
import { localStoreConformance } from './local-store.conformance.ts'
import type { StoreHarness } from './local-store.program.ts'
import { ManualTime } from './manual-time.ts'
import { openRocksStore } from './rocks-store.ts'

async function rocksHarness(): Promise<StoreHarness> {
  const root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-store-'))
  const time = new ManualTime((callback) => setImmediate(callback))
  const runtime = { clock: time, timers: time, disk: new NodeDisk() }
  return {
    open: (options) => openRocksStore({ ...options, runtime, directory: path.join(root, 'store') }),
    advance: (ms) => time.advance(ms),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    dispose: () => fs.rm(root, { recursive: true }),
  }
}

localStoreConformance('the RocksDB store', { describe, it, expect }, rocksHarness, 3)
