// Errors that the oracle does not meet, each with its reason; a full run must have met everything else often enough (coverage.ts).

import type { ErrName } from '../../src/zookeeper/codec/error-codes.ts'

interface LeftOut<Name> {
  readonly name: Name
  readonly reason: string
}

/** Errors that no step can bring about on a standalone 3.8 without restricting it. */
export const ERRORS_LEFT_OUT: readonly LeftOut<ErrName>[] = [
  { name: 'ok', reason: 'no error' },
  { name: 'systemError', reason: 'a bound of the codes; ZooKeeper does not send it' },
  { name: 'dataInconsistency', reason: 'not sent by any version' },
  { name: 'connectionLoss', reason: 'made by clients' },
  { name: 'operationTimeout', reason: 'made by clients' },
  { name: 'requestTimeout', reason: 'made by clients' },
  { name: 'invalidCallback', reason: 'made by clients' },
  { name: 'apiError', reason: 'a bound of the codes' },
  { name: 'unknownSession', reason: 'the connection of such a session is closed instead' },
  { name: 'sessionExpired', reason: 'the connection of such a session is closed, and the next handshake refused' },
  { name: 'sessionMoved', reason: 'the connection is closed instead' },
  { name: 'newConfigNoQuorum', reason: 'of ensembles' },
  { name: 'reconfigInProgress', reason: 'of ensembles' },
  { name: 'notReadOnly', reason: 'of a server that has lost its ensemble' },
  { name: 'ephemeralOnLocalSession', reason: 'needs local sessions, which are off and which Zelos does not have' },
]

const NOT_MET: ReadonlySet<string> = new Set(ERRORS_LEFT_OUT.map(({ name }) => name))

export function isMet(error: string): boolean {
  return !NOT_MET.has(error)
}
