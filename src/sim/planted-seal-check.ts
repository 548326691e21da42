// The planted bug `seal-check-first`: loglets that look at their seal before the write that the seal should have stopped, and
// acknowledge whatever they wrote. In between somebody may seal the loglet, learn its tail, and go on behind it elsewhere.

import { ForwardingLoglet, ForwardingLogletProvider } from '../log/forwarding-loglet.ts'
import type { Loglet, LogletAppendOutcome, LogletProvider } from '../log/loglet.ts'

/** Wraps a provider. `writeTakes` resolves after what a write takes. */
export function checksSealFirst(inner: LogletProvider, writeTakes: () => Promise<void>): LogletProvider {
  return new ForwardingLogletProvider(inner, (loglet) => new TrustingLoglet(loglet, writeTakes))
}

class TrustingLoglet extends ForwardingLoglet {
  private readonly writeTakes: () => Promise<void>

  constructor(inner: Loglet, writeTakes: () => Promise<void>) {
    super(inner)
    this.writeTakes = writeTakes
  }

  override async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const { sealed } = await this.inner.checkTail()
    if (sealed) return { kind: 'sealed' }
    await this.writeTakes()
    const outcome = await this.inner.append(bytes)
    if (outcome.kind !== 'sealed') return outcome
    // It lies behind the tail that the seal has fixed.
    const { tail } = await this.inner.checkTail()
    return { kind: 'appended', offset: tail }
  }
}
