// Which engines of a database were enabled by the server itself. Each engine that is new in a stack is enabled once, so an old
// directory gains it, and what an operator disables stays disabled. Stored in the local range: the names, one a line.

import { DelosError } from '../base/delos-error.ts'
import type { Stack } from '../engine/stack.ts'
import type { Logger } from '../runtime/logger.ts'
import type { LocalStore } from '../store/local-store.ts'

const KEY = 'node/engines-enabled'
/** What an empty record means: version 0.1.0 wrote no names, and had one engine. */
const FIRST = 'batching'

export interface EnabledEnginesParts {
  readonly database: string
  /** Engines of the stack, bottom to top. */
  readonly engines: readonly string[]
  readonly stack: Pick<Stack<unknown>, 'enable' | 'status'>
  readonly store: Pick<LocalStore, 'local'>
  readonly logger: Logger
}

/**
 * Enables through the log what was not enabled here before. Of a new directory rejects with what prevents it; an old one serves
 * without, with a warning, and tries again at the next start.
 */
export async function enableNewEngines({
  database,
  engines,
  logger,
  stack,
  store,
}: EnabledEnginesParts): Promise<void> {
  const record = store.local.get(KEY)
  const known = record === undefined ? [] : namesOf(record)
  const missing = engines.filter((name) => !known.includes(name))
  if (missing.length === 0) return
  try {
    await stack.enable(missing)
  } catch (error) {
    if (record === undefined || !(error instanceof DelosError)) throw error
    logger.warn({ database, engines: missing, error: String(error) }, 'engines that are new here could not be enabled')
  }
  const enabled = stack.status().engines.filter((engine) => engine.enabled && missing.includes(engine.name))
  await store.local.put(KEY, Buffer.from([...known, ...enabled.map(({ name }) => name)].join('\n')))
}

function namesOf(record: Uint8Array): string[] {
  return record.length === 0 ? [FIRST] : Buffer.from(record).toString().split('\n')
}
