// A read point that may have become one that must not be shown: between the promise of `sync` and whoever awaits it, more of the log
// may be applied, and with it an edit that the holder of the lease has not seen.

import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { KeyRange, ReadTx, Row, ScanOptions } from '../../store/local-store.ts'

export class ShownTx implements ReadTx {
  private readonly inner: ReadTx
  private readonly isHidden: () => boolean

  constructor(inner: ReadTx, isHidden: () => boolean) {
    this.inner = inner
    this.isHidden = isHidden
  }

  get(key: Key): Uint8Array | undefined {
    return this.shown.get(key)
  }

  getMany(keys: readonly Key[]): (Uint8Array | undefined)[] {
    return this.shown.getMany(keys)
  }

  scan(range: KeyRange, options?: ScanOptions): Iterable<Row> {
    return this.shown.scan(range, options)
  }

  /** Throws NOT_READY: sync again. */
  private get shown(): ReadTx {
    if (!this.isHidden()) return this.inner
    throw new DelosError(
      'NOT_READY',
      'an edit was applied that the holder of the lease may not have seen yet: sync again',
    )
  }
}
