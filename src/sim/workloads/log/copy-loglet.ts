// Copies a sealed loglet entry by entry, as an operator does before the chain is told to use the copy.

import type { Loglet, LogletConfig, LogletProvider } from '../../../log/loglet.ts'
import type { LogletOffset } from '../../../log/position.ts'
import { check } from '../../workload.ts'

/** Copies `length` offsets to a new loglet, at the same offsets; false if the old one was trimmed meanwhile. */
export async function copyLoglet(
  from: Loglet,
  provider: LogletProvider,
  config: LogletConfig,
  length: number,
): Promise<boolean> {
  const to = await provider.create(config)
  try {
    // What is trimmed can't be copied, and the offsets of the rest would not be the same.
    if (from.trimPoint > 0) return false
    let at = 0
    while (at < length) {
      const read = await from.readNext(at as LogletOffset, length as LogletOffset, 4_000)
      if (read.trimmedTo !== undefined) return false
      for (const { offset, bytes } of read.entries) if (!(await copyEntry(to, offset, bytes))) return false
      at = read.next
    }
    await to.seal({ kind: provider.kind, params: {} })
    return true
  } finally {
    await to.close()
  }
}

async function copyEntry(to: Loglet, offset: number, bytes: Uint8Array): Promise<boolean> {
  const outcome = await to.append(bytes)
  if (outcome.kind === 'appended') {
    check(outcome.offset === offset, `the entry of offset ${offset} was copied to ${outcome.offset}`)
    return true
  }
  if (outcome.kind === 'sealed' || outcome.cause.retryable) return false
  throw outcome.cause
}
