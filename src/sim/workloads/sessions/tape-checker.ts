// One session, over all its connections: its updates were applied in the order in which they were sent, each once, and answered
// with what they did; its reads never went back; it ended because its client said so, or was silent for its timeout.

import { CREATE_EPHEMERAL, type UpdateOperation } from '../../../zelos/requests.ts'
import { ZCODE } from '../../../zelos/znode.ts'
import { ERR } from '../../../zookeeper/codec/error-codes.ts'
import { OP } from '../../../zookeeper/codec/opcodes.ts'
import { wireSessionId } from '../../../zookeeper/codec/session-id.ts'
import type { MultiOperation, ReadRequest, WireRequest } from '../../../zookeeper/codec/wire-requests.ts'
import { check } from '../../workload.ts'
import type { ModelNode } from '../zelos/tree-model.ts'
import type { ReplyFrame, SentRequest, SessionTape } from './tape.ts'
import type { AppliedUpdate, TreeHistory } from './tree-history.ts'

/** Throws CheckFailure: of everything that its client sent and received. */
export function checkAnswers(history: TreeHistory, tape: SessionTape): void {
  const matched = matchUpdates(history, tape)
  let own = 0
  let shown = 0
  for (const { received, sent } of tape.connections) {
    for (const frame of received) {
      if (frame.kind !== 'reply' || frame.zxid === 0) continue
      check(frame.zxid >= shown, `session ${name(tape)} was shown zxid ${frame.zxid} after ${shown}`)
      shown = frame.zxid
    }
    for (const request of sent) {
      const applied = matched.get(request)
      own = applied?.zxid ?? own
      const { reply } = request
      if (reply === undefined) continue
      if (isUpdate(request.request)) checkUpdate(tape, request.request, reply, applied)
      else checkRead(history, tape, request, reply, own)
    }
  }
}

/** What the server's processes were doing meanwhile. */
export interface ServerTimes {
  /** When each process began to serve, in order. */
  readonly servedFromMs: readonly number[]
  /** When one of them stood still. */
  readonly stood: readonly { readonly fromMs: number; readonly toMs: number }[]
  /** How much each of these may be taken for. */
  readonly slackMs: number
}

/** Throws CheckFailure: of how it ended, if it did. True if it ran out. */
export function checkEnd(history: TreeHistory, tape: SessionTape, server: ServerTimes): boolean {
  const end = history.ends.get(tape.id)
  check(
    end !== undefined || tape.toldGoneMs === undefined,
    `session ${name(tape)} is there, its client was told it is not`,
  )
  if (end === undefined) return false
  if (end.how === 'closed') {
    check(tape.closing, `session ${name(tape)} was closed, and not by its client`)
    return false
  }
  const { atMs } = end
  const heardMs = Math.max(...tape.connections.map(({ openedMs }) => openedMs), ...answeredMs(tape))
  const fromMs = Math.max(heardMs, ...server.servedFromMs.filter((ms) => ms <= atMs))
  let silentMs = atMs - fromMs + server.slackMs
  for (const one of server.stood) {
    const stoodMs = Math.min(one.toMs, atMs) - Math.max(one.fromMs, fromMs)
    if (stoodMs > 0) silentMs -= stoodMs - server.slackMs
  }
  check(silentMs >= tape.timeoutMs, `session ${name(tape)} ran out after ${silentMs} ms instead of ${tape.timeoutMs}`)
  return true
}

function* answeredMs({ connections }: SessionTape): Iterable<number> {
  for (const { sent } of connections) for (const { reply, sentMs } of sent) if (reply !== undefined) yield sentMs
}

function matchUpdates(history: TreeHistory, tape: SessionTape): Map<SentRequest, AppliedUpdate> {
  const sent = tape.connections.flatMap((connection) => connection.sent.filter(({ request }) => isUpdate(request)))
  const matched = new Map<SentRequest, AppliedUpdate>()
  let next = 0
  for (const applied of history.updatesOf(tape.id)) {
    const { update, expected, zxid } = applied
    if (update.kind === 'moveSession' || update.kind === 'expireSession') continue
    // Of an older owner, or of a session that is gone: it did nothing.
    if (expected.err === ZCODE.SESSION_MOVED || expected.err === ZCODE.SESSION_EXPIRED) continue
    while (next < sent.length && !isSame(applied, (sent[next] as SentRequest).request)) next++
    check(
      next < sent.length,
      `session ${name(tape)}: zxid ${zxid} is no update that was sent, or not then: ${text(applied)}`,
    )
    matched.set(sent[next++] as SentRequest, applied)
  }
  return matched
}

function isUpdate({ op }: WireRequest): boolean {
  return (
    op === OP.create ||
    op === OP.create2 ||
    op === OP.delete ||
    op === OP.setData ||
    op === OP.multi ||
    op === OP.closeSession
  )
}

function isSame({ update }: AppliedUpdate, request: WireRequest): boolean {
  switch (request.op) {
    case OP.multi:
      return (
        update.kind === 'multi' &&
        update.operations.length === request.operations.length &&
        update.operations.every((one, i) => isOperation(one, request.operations[i] as MultiOperation))
      )
    case OP.closeSession:
      return update.kind === 'closeSession'
    case OP.create:
    case OP.create2:
    case OP.delete:
    case OP.setData:
      return update.kind === 'write' && isOperation(update.operation, request)
    default:
      return false
  }
}

function isOperation(operation: UpdateOperation, sent: MultiOperation): boolean {
  if (operation.path !== sent.path) return false
  switch (operation.op) {
    case 'create':
      return (sent.op === OP.create || sent.op === OP.create2) && sameData(operation.data, sent.data)
    case 'setData':
      return sent.op === OP.setData && sameData(operation.data, sent.data)
    default:
      return operation.op === 'delete' && sent.op === OP.delete
  }
}

function checkUpdate(
  tape: SessionTape,
  { op }: WireRequest,
  { body, err, zxid }: ReplyFrame,
  applied: AppliedUpdate | undefined,
): void {
  const who = `session ${name(tape)}: an update that was answered ${err}`
  if (applied === undefined) {
    check(err !== ERR.ok && err !== ERR.noNode && err !== ERR.nodeExists, `${who} was never applied (operation ${op})`)
    return
  }
  const { expected } = applied
  check(zxid >= applied.zxid, `${who} shows zxid ${zxid}, it is ${applied.zxid}`)
  check(err === expected.err, `${who} gave ${expected.err} at zxid ${applied.zxid}`)
  if (err !== ERR.ok) return
  const { path, results, stat } = body
  check(path === undefined || path === expected.path, `${who} made ${path}, not ${expected.path}`)
  if (op === OP.create2) check(stat?.czxid === applied.zxid, `${who} has czxid ${stat?.czxid}, not ${applied.zxid}`)
  if (op === OP.setData) check(stat?.mzxid === applied.zxid, `${who} has mzxid ${stat?.mzxid}, not ${applied.zxid}`)
  const errs = results?.map((one) => (one.op === OP.error ? one.err : ERR.ok))
  const wanted = expected.results?.map((one) => one.err)
  check(errs?.join() === wanted?.join(), `${who} gave ${wanted}, and was told ${errs}`)
}

/** `own`: the zxid of its newest update that was sent before. */
function checkRead(
  history: TreeHistory,
  tape: SessionTape,
  { floor, request, seen }: SentRequest,
  { body, err, zxid }: ReplyFrame,
  own: number,
): void {
  if (err === ERR.systemError || zxid === 0) return
  if (request.op === OP.sync) return check(zxid >= floor, `a sync shows zxid ${zxid}, others have seen ${floor}`)
  if (!isRead(request)) return
  const who = `session ${name(tape)}: ${request.path}`
  const from = request.watch ? zxid : Math.max(seen, own)
  check(from <= zxid, `${who} was read at zxid ${zxid} after ${from} was seen`)
  const versions = history.between(request.path, from, zxid)
  const isRight = versions.some((version) => {
    if (version.node === undefined) return err === ERR.noNode
    if (err !== ERR.ok) return false
    if (request.op === OP.getChildren || request.op === OP.getChildren2) {
      return (body.children ?? []).toSorted().join() === history.childrenAt(request.path, version.zxid).join()
    }
    const { data, stat } = body
    return stat !== undefined && isNode(stat, version.node) && (data === undefined || sameText(data, version.node.data))
  })
  check(isRight, `${who}: what was read (${err}) was never so from zxid ${from} to ${zxid}`)
}

function isRead(request: WireRequest): request is ReadRequest {
  const { op } = request
  return op === OP.getData || op === OP.exists || op === OP.getChildren || op === OP.getChildren2
}

function isNode(stat: NonNullable<ReplyFrame['body']['stat']>, { czxid, mzxid, owner, version }: ModelNode): boolean {
  const ownerId = owner === 0 ? 0n : wireSessionId(owner)
  return stat.czxid === czxid && stat.mzxid === mzxid && stat.version === version && stat.ephemeralOwner === ownerId
}

function sameData(one: Uint8Array | null, other: Uint8Array | null): boolean {
  return Buffer.compare(one ?? NOTHING, other ?? NOTHING) === 0
}

function sameText(data: Uint8Array | null, expected: string): boolean {
  return Buffer.from(data ?? NOTHING).toString('latin1') === expected
}

const NOTHING = Buffer.alloc(0)

function name({ id }: SessionTape): string {
  return `0x${id.toString(16)}`
}

function text({ update }: AppliedUpdate): string {
  if (update.kind !== 'write') return update.kind
  const { operation } = update
  const ephemeral = operation.op === 'create' && (operation.flags & CREATE_EPHEMERAL) !== 0
  return `${ephemeral ? 'ephemeral ' : ''}${operation.op} ${operation.path}`
}
