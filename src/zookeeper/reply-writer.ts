// Turns results of the database into reply frames. Knows which shape each operation answers with, and nothing of queues.

import { unreachable } from '../base/assert.ts'
import type { OperationResult, UpdateResult } from '../zelos/requests.ts'
import type { WatchEventType } from '../zelos/zelos.ts'
import { ZCODE, type ZNode } from '../zelos/znode.ts'
import { ERR } from './codec/error-codes.ts'
import type { JuteWriter } from './codec/jute-writer.ts'
import { OP } from './codec/opcodes.ts'
import {
  type MultiResult,
  writeHeaderReply,
  writeMultiReply,
  writePathReply,
  writePathStatReply,
  writeStatReply,
} from './codec/replies.ts'
import { EVENT_TYPE } from './codec/watch-codes.ts'
import type { MultiOperation, MultiRequest, WireRequest } from './codec/wire-requests.ts'
import type { NodeRules } from './server-options.ts'
import { StatView, statOf } from './stat-view.ts'
import { isTimedInMulti, multiOperationRefusal } from './update-operations.ts'

// Replies are written one at a time, each whole, so that one view serves all connections.
const STAT = new StatView()

/** A Stat of `node`, to be written at once. */
export function statView(node: ZNode): StatView {
  return STAT.of(node)
}

/** The reply to an update. `zxid` is the last one applied at this server. */
export function writeUpdateReply(
  to: JuteWriter,
  xid: number,
  zxid: number,
  request: WireRequest,
  result: UpdateResult,
  rules: NodeRules,
): void {
  if (request.op === OP.multi) return writeMultiUpdateReply(to, xid, zxid, request, result, rules)
  if (result.err !== ZCODE.OK) return writeHeaderReply(to, xid, zxid, result.err)
  switch (request.op) {
    case OP.create:
      return writePathReply(to, xid, zxid, result.path as string)
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl:
      return writePathStatReply(to, xid, zxid, result.path as string, STAT.of(result.node as ZNode))
    case OP.setData:
    case OP.setAcl:
      return writeStatReply(to, xid, zxid, STAT.of(result.node as ZNode))
    default:
      return writeHeaderReply(to, xid, zxid, ERR.ok)
  }
}

/** A failed multi has header error 0 and per-operation errors; only one that was not looked at has a header error. */
function writeMultiUpdateReply(
  to: JuteWriter,
  xid: number,
  zxid: number,
  request: MultiRequest,
  result: UpdateResult,
  rules: NodeRules,
): void {
  const results = result.results
  if (results === undefined) return writeHeaderReply(to, xid, zxid, result.err)
  const { operations } = request
  const failed = results.some((one) => one.err !== ZCODE.OK)
  const shown = failed ? failedResult : multiResult
  writeMultiReply(
    to,
    xid,
    zxid,
    results.map((one, index) => shown(operations[index] as MultiOperation, one, rules)),
  )
}

function failedResult(operation: MultiOperation, { err }: OperationResult, rules: NodeRules): MultiResult {
  return { op: OP.error, err: err === ZCODE.BAD_ARGUMENTS ? (multiOperationRefusal(operation, rules) ?? err) : err }
}

function multiResult(operation: MultiOperation, result: OperationResult): MultiResult {
  switch (operation.op) {
    // ZooKeeper reads create2 inside a multi as create, and so do its clients with the answer.
    case OP.create:
    case OP.create2:
    case OP.createContainer:
    case OP.createTtl: {
      const path = result.path as string
      if (!isTimedInMulti(operation)) return { op: OP.create, path }
      return { op: OP.create2, path, stat: statOf(result.node as ZNode) }
    }
    case OP.setData:
      return { op: OP.setData, stat: statOf(result.node as ZNode) }
    case OP.delete:
    case OP.check:
      return { op: operation.op }
    default:
      return unreachable(operation)
  }
}

/** As the wire calls them. */
export const EVENT_TYPES = {
  created: EVENT_TYPE.nodeCreated,
  deleted: EVENT_TYPE.nodeDeleted,
  dataChanged: EVENT_TYPE.nodeDataChanged,
  childrenChanged: EVENT_TYPE.nodeChildrenChanged,
} as const satisfies Record<WatchEventType, number>
