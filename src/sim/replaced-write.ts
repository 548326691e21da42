// A disk under a store whose writes are done in another way, and all else as before: the shape of the bugs planted there.

import type { StoreBackend } from '../store/store-backend.ts'

export function replacedWrite(inner: StoreBackend, write: StoreBackend['write']): StoreBackend {
  return {
    get: (key) => inner.get(key),
    getMany: (keys) => inner.getMany(keys),
    readRange: (...range) => inner.readRange(...range),
    getLocal: (key) => inner.getLocal(key),
    digest: () => inner.digest(),
    openSnapshot: () => inner.openSnapshot(),
    close: () => inner.close(),
    write,
  }
}
