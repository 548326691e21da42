// The planted bug `ack-before-write`: loglets that acknowledge an append while its write is still under way. A crash at that
// moment loses what somebody was told is safe.

import type { Loglet, LogletAppendOutcome, LogletConfig, LogletProvider } from '../log/loglet.ts'
import type { LogletOffset } from '../log/position.ts'

/** Wraps a provider whose loglets have one writer, so that the next offset is known. */
export function acknowledgesFirst(inner: LogletProvider): LogletProvider {
  return {
    kind: inner.kind,
    create: async (config: LogletConfig) => hasty(await inner.create(config)),
    open: async (config: LogletConfig) => hasty(await inner.open(config)),
    destroy: (config) => inner.destroy(config),
    list: () => inner.list(),
  }
}

async function hasty(inner: Loglet): Promise<Loglet> {
  let { tail, sealed } = await inner.checkTail()
  const append = async (bytes: Uint8Array): Promise<LogletAppendOutcome> => {
    const outcome = inner.append(bytes)
    if (sealed || bytes.length > inner.maxEntryBytes) return outcome
    const offset = tail
    tail = (tail + 1) as LogletOffset
    // What becomes of the write is nobody's business any more.
    outcome.catch(() => undefined)
    return { kind: 'appended', offset }
  }
  return {
    get maxEntryBytes() {
      return inner.maxEntryBytes
    },
    get trimPoint() {
      return inner.trimPoint
    },
    append,
    checkTail: () => inner.checkTail(),
    readNext: (from, to, maxBytes) => inner.readNext(from, to, maxBytes),
    prefixTrim: (to) => inner.prefixTrim(to),
    seal: (successor) => {
      sealed = true
      return inner.seal(successor)
    },
    onTailMoved: (listener) => inner.onTailMoved(listener),
    marks: () => inner.marks(),
    close: () => inner.close(),
  }
}
