// From decoded wire requests to Zelos operations: which are writes, which can't be asked here. No state.

import { CREATE_EPHEMERAL, CREATE_SEQUENTIAL, type UpdateOperation } from '../zelos/requests.ts'
import { createMode } from './codec/create-mode.ts'
import { ERR } from './codec/error-codes.ts'
import { OP } from './codec/opcodes.ts'
import type { CreateRequest, MultiOperation, SetAclRequest, WireRequest } from './codec/requests.ts'

type WriteRequest = Exclude<MultiOperation, { op: typeof OP.check }> | SetAclRequest

/** True for the requests that are a single update. */
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

/** The operation, or the error code that refuses it before it reaches the log. */
export function updateOperation(request: WriteRequest | MultiOperation): UpdateOperation | number {
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
      return createOperation(request)
  }
}

function createOperation(request: CreateRequest): UpdateOperation | number {
  const mode = createMode(request.flags)
  if (mode === undefined) return ERR.badArguments
  // Containers and TTL nodes are not there yet: a clear error instead of a node that would never go away.
  if (mode.container || mode.ttl || request.op === OP.createContainer || request.op === OP.createTtl) {
    return ERR.unimplemented
  }
  const flags = (mode.ephemeral ? CREATE_EPHEMERAL : 0) | (mode.sequential ? CREATE_SEQUENTIAL : 0)
  return { op: 'create', path: request.path, data: request.data, acl: request.acl, flags }
}
