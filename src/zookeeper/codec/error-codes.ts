// Every error code of ZooKeeper 3.9. When each is answered is decided by the database and the server.

/** Error codes by name, as in the err field of a reply header. */
export const ERR = {
  ok: 0,
  systemError: -1,
  runtimeInconsistency: -2,
  dataInconsistency: -3,
  connectionLoss: -4,
  marshallingError: -5,
  unimplemented: -6,
  operationTimeout: -7,
  badArguments: -8,
  unknownSession: -12,
  newConfigNoQuorum: -13,
  reconfigInProgress: -14,
  apiError: -100,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidCallback: -113,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118,
  notReadOnly: -119,
  ephemeralOnLocalSession: -120,
  noWatcher: -121,
  requestTimeout: -122,
  reconfigDisabled: -123,
  sessionClosedRequireSaslAuth: -124,
  quotaExceeded: -125,
  throttledOp: -127,
} as const

export type ErrName = keyof typeof ERR
export type ErrCode = (typeof ERR)[ErrName]

const NAMES: ReadonlyMap<number, ErrName> = new Map(Object.entries(ERR).map(([name, code]) => [code, name as ErrName]))

/** The name of an error code, for logs and metric labels: one of a closed set, `unknown` for all others. */
export function errName(code: number): ErrName | 'unknown' {
  return NAMES.get(code) ?? 'unknown'
}
