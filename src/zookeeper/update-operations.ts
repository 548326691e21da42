// From decoded wire requests to operations of the database: which are updates, which modes can't be asked here. No state.

import { CREATE_EPHEMERAL, CREATE_SEQUENTIAL, type UpdateOperation } from '../zelos/requests.ts'
import { createMode } from './codec/create-mode.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import type {
  CheckRequest,
  CreateRequest,
  MultiOperation,
  MultiRequest,
  SetAclRequest,
  WireRequest,
} from './codec/wire-requests.ts'

/** The requests that are a single update. */
export type WriteRequest = Exclude<MultiOperation, CheckRequest> | SetAclRequest

export function isWrite(request: WireRequest): request is WriteRequest {
  switch (request.op) {
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
    case OP.delete:
    case OP.setData:
    case OP.setAcl:
      return true
    default:
      return false
  }
}

/** The error code that refuses an operation before it reaches the log; undefined for all others. */
export function refusal(request: WriteRequest | CheckRequest): number | undefined {
  switch (request.op) {
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      return refusedMode(request)
    default:
      return undefined
  }
}

/** The error code that refuses a whole multi, as ZooKeeper does for a TTL mode in an operation that has no field for it. */
export function multiRefusal({ operations }: MultiRequest): number | undefined {
  const unreadable = operations.some(
    (one) => one.op !== OP.createTtl && 'flags' in one && createMode(one.flags)?.ttl === true,
  )
  return unreadable ? ERR.marshallingError : undefined
}

/** What the database is asked to do; the request is one that `refusal` lets pass. */
export function updateOperation(request: WriteRequest | CheckRequest): UpdateOperation {
  switch (request.op) {
    case OP.setData:
      return { op: 'setData', path: request.path, data: request.data, version: request.version }
    case OP.delete:
      return { op: 'delete', path: request.path, version: request.version }
    case OP.check:
      return { op: 'check', path: request.path, version: request.version }
    case OP.setAcl:
      return { op: 'setAcl', path: request.path, acl: request.acl, version: request.version }
    default:
      return { op: 'create', path: request.path, data: request.data, acl: request.acl, flags: createBits(request) }
  }
}

/** The operations of a multi; in the place of one that is refused stands one that fails in apply, and changes nothing. */
export function multiOperations({ operations }: MultiRequest): UpdateOperation[] {
  return operations.map((one) => (refusal(one) === undefined ? updateOperation(one) : REFUSED))
}

/** No path is empty: answered with badArguments. */
const REFUSED: UpdateOperation = { op: 'check', path: '', version: -1 }

// Containers and TTL nodes are not there yet: a clear error instead of a node that would never go away.
function refusedMode({ op, flags }: CreateRequest): number | undefined {
  const mode = createMode(flags)
  if (mode === undefined || (op === OP.createTtl && !mode.ttl)) return ERR.badArguments
  return mode.ttl || mode.container ? ERR.unimplemented : undefined
}

function createBits({ flags }: CreateRequest): number {
  const mode = createMode(flags)
  return (mode?.ephemeral ? CREATE_EPHEMERAL : 0) | (mode?.sequential ? CREATE_SEQUENTIAL : 0)
}
