// Which engines a server enables by itself when it starts: those that nobody has ever switched. That is replicated, so what an
// operator disables stays disabled, also when a server with an empty directory joins. Also tells the
// server's log of switches. Not here: the switch itself.

import { DelosError } from '../base/delos-error.ts'
import type { SwitchApplied } from '../engine/engine-layer.ts'
import type { Stack } from '../engine/stack.ts'
import type { Logger } from '../runtime/logger.ts'

export interface EnabledEnginesParts {
  readonly database: string
  readonly serverId: string
  /** It serves. */
  readonly stack: Pick<Stack<unknown>, 'enable' | 'membership' | 'newEngines' | 'read' | 'status'>
  readonly logger: Logger
}

/** What of it goes on; never rejects, and ends soon after the stack has. */
export interface Enabling {
  readonly background: Promise<void>
}

/**
 * Alone, it waits for the switches, and a new database that can't have them rejects. With other servers it asks beside serving:
 * in a roll-out all but the last are refused. An old database serves without, with a word in the log; the next start asks again.
 */
export async function enableNewEngines({ database, logger, serverId, stack }: EnabledEnginesParts): Promise<Enabling> {
  const engines = stack.newEngines()
  if (engines.length === 0) return { background: Promise.resolve() }
  const isNewDatabase = engines.length === stack.status().engines.length
  const refused = (error: unknown): void => {
    if (stack.status().state !== 'serving') return // It was closed meanwhile, or says itself why it stopped.
    const missing = stack.newEngines()
    logger.warn({ database, engines: missing, error: String(error) }, 'engines that are new here are not enabled yet')
  }
  const asked = stack.enable('new')
  if (stack.membership.members(stack.read()).some((member) => member !== serverId)) {
    return { background: asked.catch(refused) }
  }
  try {
    await asked
  } catch (error) {
    if (isNewDatabase || !(error instanceof DelosError)) throw error
    refused(error)
  }
  return { background: Promise.resolve() }
}

/** Leaves a line in the log for each switch that was applied here. */
export function logSwitches(database: string, logger: Logger): SwitchApplied {
  return (engine, change, position, outcome) => {
    const asked = change.kind === 'level' ? `level ${change.level}` : change.enabled ? 'enable' : 'disable'
    const missing = outcome.kind === 'refused' && outcome.missing.length > 0 ? { missing: outcome.missing } : {}
    const fields = { database, engine, change: asked, position, outcome: outcome.kind, ...missing }
    logger.info(fields, 'a switch of an engine was applied')
  }
}
