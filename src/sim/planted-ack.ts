// The planted bug `ack-before-write`: loglets that acknowledge an append while its write is still under way. A crash at that
// moment loses what somebody was told is safe.

import { ForwardingLoglet, ForwardingLogletProvider } from '../log/forwarding-loglet.ts'
import type { Loglet, LogletAppendOutcome, LogletProvider, LogletRecipe, LogletTail } from '../log/loglet.ts'
import type { LogletOffset } from '../log/position.ts'

/** Wraps a provider whose loglets have one writer, so that the next offset is known. */
export function acknowledgesFirst(inner: LogletProvider): LogletProvider {
  return new ForwardingLogletProvider(inner, async (loglet) => new HastyLoglet(loglet, await loglet.checkTail()))
}

class HastyLoglet extends ForwardingLoglet {
  private tail: LogletOffset
  private sealed: boolean

  constructor(inner: Loglet, { tail, sealed }: LogletTail) {
    super(inner)
    this.tail = tail
    this.sealed = sealed
  }

  override append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const outcome = this.inner.append(bytes)
    if (this.sealed || bytes.length > this.inner.maxEntryBytes) return outcome
    const offset = this.tail
    this.tail = (offset + 1) as LogletOffset
    // What becomes of the write is nobody's business any more.
    outcome.catch(() => undefined)
    return Promise.resolve({ kind: 'appended', offset })
  }

  override seal(successor: LogletRecipe): Promise<LogletTail> {
    this.sealed = true
    return this.inner.seal(successor)
  }
}
