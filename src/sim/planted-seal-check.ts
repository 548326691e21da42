// The planted bug `seal-check-first`: loglets that look at their seal before the write that the seal should have stopped, and
// acknowledge whatever they wrote. In between somebody may seal the loglet, learn its tail, and go on behind it elsewhere.

import type { Loglet, LogletAppendOutcome, LogletProvider } from '../log/loglet.ts'
import type { LogletOffset } from '../log/position.ts'

/** Wraps a provider. `writeTakes` resolves after what a write takes. */
export function checksSealFirst(inner: LogletProvider, writeTakes: () => Promise<void>): LogletProvider {
  return {
    kind: inner.kind,
    create: async (config) => trusting(await inner.create(config), writeTakes),
    open: async (config) => trusting(await inner.open(config), writeTakes),
    destroy: (config) => inner.destroy(config),
    list: () => inner.list(),
  }
}

function trusting(inner: Loglet, writeTakes: () => Promise<void>): Loglet {
  const append = async (bytes: Uint8Array): Promise<LogletAppendOutcome> => {
    const { sealed } = await inner.checkTail()
    if (sealed) return { kind: 'sealed' }
    await writeTakes()
    const outcome = await inner.append(bytes)
    if (outcome.kind !== 'sealed') return outcome
    // It lies behind the tail that the seal has fixed.
    const { tail } = await inner.checkTail()
    return { kind: 'appended', offset: tail as LogletOffset }
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
    seal: (successor) => inner.seal(successor),
    onTailMoved: (listener) => inner.onTailMoved(listener),
    marks: () => inner.marks(),
    close: () => inner.close(),
  }
}
