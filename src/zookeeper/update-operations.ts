// From decoded wire requests to operations of the database: which are updates, which modes can't be asked here. No state.

import { CREATE_EPHEMERAL, CREATE_SEQUENTIAL, type UpdateOperation } from '../zelos/requests.ts'
import { type Lifetime, TTL_MS_MAX } from '../zelos/znode.ts'
import { type CreateMode, createMode } from './codec/create-mode.ts'
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
import type { NodeRules } from './server-options.ts'

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

function isCreate(request: WireRequest | CheckRequest): request is CreateRequest {
  return 'flags' in request
}

/** The error code that refuses a request before it reaches the log; undefined for all others. */
export function refusal(request: WriteRequest, rules: NodeRules): number | undefined {
  if (!isCreate(request)) return undefined
  const mode = createMode(request.flags)
  if (mode === undefined) return ERR.badArguments
  if (mode.ttl && !rules.ttlNodes) return ERR.unimplemented
  return mode.ttl === (request.op === OP.createTtl) && isTtl(mode, request) ? undefined : ERR.badArguments
}

/** The same of an operation of a multi, of which ZooKeeper keeps the flags alone, whatever operation brings them. */
export function multiOperationRefusal(operation: MultiOperation, rules: NodeRules): number | undefined {
  if (!isCreate(operation)) return undefined
  const mode = createMode(operation.flags)
  if (mode === undefined) return ERR.badArguments
  if (mode.ttl && !rules.ttlNodes) return ERR.unimplemented
  return isTtl(mode, operation) ? undefined : ERR.badArguments
}

/** Does this operation of a multi create a container or a TTL node? Then its result has a stat. */
export function isTimedInMulti({ flags }: CreateRequest): boolean {
  const mode = createMode(flags)
  return mode !== undefined && (mode.container || mode.ttl)
}

function isTtl({ ttl }: CreateMode, { ttlMs }: CreateRequest): boolean {
  return !ttl || (ttlMs > 0 && ttlMs <= TTL_MS_MAX)
}

/** The error code that refuses a whole multi, as ZooKeeper does for a TTL mode in an operation that has no field for it. */
export function multiRefusal({ operations }: MultiRequest): number | undefined {
  const unreadable = operations.some(
    (one) => one.op !== OP.createTtl && 'flags' in one && createMode(one.flags)?.ttl === true,
  )
  return unreadable ? ERR.marshallingError : undefined
}

/** What the database is asked to do; the request is one that `refusal` lets pass. A container is what came as one. */
export function updateOperation(request: WriteRequest, rules: NodeRules): UpdateOperation {
  switch (request.op) {
    case OP.createContainer:
      return createOperation(request, { kind: 'container', ms: rules.containerCheckMs })
    case OP.createTtl:
      return createOperation(request, { kind: 'ttl', ms: request.ttlMs })
    default:
      return untimedOperation(request)
  }
}

function untimedOperation(request: WriteRequest | CheckRequest): UpdateOperation {
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
      return createOperation(request, undefined)
  }
}

function createOperation(request: CreateRequest, lifetime: Lifetime | undefined): UpdateOperation {
  const { path, data, acl } = request
  const flags = createBits(request)
  return lifetime === undefined
    ? { op: 'create', path, data, acl, flags }
    : { op: 'create', path, data, acl, flags, lifetime }
}

/** The operations of a multi; in the place of one that is refused stands one that fails in apply, and changes nothing. */
export function multiOperations({ operations }: MultiRequest, rules: NodeRules): UpdateOperation[] {
  return operations.map((one) => {
    if (multiOperationRefusal(one, rules) !== undefined) return REFUSED
    return isCreate(one) ? createOperation(one, lifetimeInMulti(one, rules)) : untimedOperation(one)
  })
}

function lifetimeInMulti({ flags, ttlMs }: CreateRequest, rules: NodeRules): Lifetime | undefined {
  const mode = createMode(flags)
  if (mode?.container) return { kind: 'container', ms: rules.containerCheckMs }
  return mode?.ttl ? { kind: 'ttl', ms: ttlMs } : undefined
}

/** No path is empty: answered with badArguments. */
const REFUSED: UpdateOperation = { op: 'check', path: '', version: -1 }

function createBits({ flags }: CreateRequest): number {
  const mode = createMode(flags)
  return (mode?.ephemeral ? CREATE_EPHEMERAL : 0) | (mode?.sequential ? CREATE_SEQUENTIAL : 0)
}
