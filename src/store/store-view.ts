// A consistent view that outlives the current synchronous section: reads of one pinned snapshot until its deadline.

import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { Timers } from '../runtime/runtime.ts'
import type { KeyRange, Row, ScanOptions, StoreView } from './local-store.ts'
import { mergedScan } from './merged-scan.ts'
import type { BackendSnapshot } from './store-backend.ts'

export class SnapshotView implements StoreView {
  private readonly snapshot: BackendSnapshot
  private readonly timer: { cancel(): void }
  private readonly onClose: (view: SnapshotView) => void
  private state: 'open' | 'expired' | 'closed' = 'open'

  /** `onClose` runs once, when the snapshot was let go, for whatever reason. */
  constructor(snapshot: BackendSnapshot, timers: Timers, leftMs: number, onClose: (view: SnapshotView) => void) {
    this.snapshot = snapshot
    this.onClose = onClose
    this.timer = timers.after(leftMs, () => this.end('expired'))
  }

  get expired(): boolean {
    return this.state === 'expired'
  }

  get(key: Key): Uint8Array | undefined {
    this.check()
    return this.snapshot.get(key)
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    this.check()
    return this.snapshot.getMany(keys)
  }

  scan(range: KeyRange, options?: ScanOptions): Iterable<Row> {
    this.check()
    return mergedScan([], this.snapshot, range, options, () => this.check())
  }

  close(): void {
    this.end('closed')
  }

  private check(): void {
    if (this.state === 'open') return
    if (this.state === 'expired') throw new DelosError('TIMEOUT', 'the view of the store is past its deadline')
    throw new DelosError('CLOSED', 'the view of the store is closed')
  }

  private end(state: 'expired' | 'closed'): void {
    if (this.state !== 'open') return
    this.state = state
    this.timer.cancel()
    this.snapshot.close()
    this.onClose(this)
  }
}
