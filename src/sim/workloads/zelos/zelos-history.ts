// What Zelos has promised so far, over all lives of its server: every update at one zxid for ever, with the result that the order
// gives, nothing acknowledged lost or applied twice, order in real time.

import type { ReadTx } from '../../../store/local-store.ts'
import { decodeUpdate } from '../../../zelos/request-codec.ts'
import type { OperationResult, Update, UpdateOperation, UpdateResult } from '../../../zelos/requests.ts'
import { ZelosApplicator } from '../../../zelos/zelos-applicator.ts'
import { ZCODE, type ZNode } from '../../../zelos/znode.ts'
import { check } from '../../workload.ts'
import { type ModelNode, type ModelResult, type ModelUpdateResult, TreeModel } from './tree-model.ts'

/** One request of a client. */
export interface RequestRecord {
  readonly operations: readonly UpdateOperation[]
  readonly session: number
  /** Updates up to this zxid were there before it was sent. */
  readonly floor: number
}

interface AppliedUpdate {
  readonly payload: Buffer
  readonly pos: number
  readonly update: Update
  readonly expected: ModelUpdateResult
  acknowledged: boolean
}

export class ZelosHistory {
  /** Updates up to this zxid are there: an answer or a read has shown it. */
  floor = 0
  /** The state after the newest update that any server has applied. */
  readonly model = new TreeModel()
  /** Called for each update when it is applied for the first time. */
  private readonly noted: (update: Update, expected: ModelUpdateResult) => void
  private readonly applied: AppliedUpdate[] = []

  constructor(noted: (update: Update, expected: ModelUpdateResult) => void) {
    this.noted = noted
  }

  /** A server has applied an update, for the first time or again. */
  note(payload: Uint8Array, pos: number, result: UpdateResult): void {
    const { zxid } = result
    const known = this.applied[zxid - 1]
    if (known === undefined) this.add(payload, pos, zxid)
    else check(known.pos === pos && known.payload.equals(payload), `zxid ${zxid} is another update than before`)
    const { expected } = this.applied[zxid - 1] as AppliedUpdate
    if (!same(result, expected)) check(false, `zxid ${zxid} gave ${shown(result)} instead of ${shown(expected)}`)
  }

  begin(operations: readonly UpdateOperation[], session: number): RequestRecord {
    return { operations, session, floor: this.floor }
  }

  acknowledged(record: RequestRecord, result: UpdateResult): void {
    const { zxid } = result
    const applied = this.applied[zxid - 1]
    check(applied !== undefined, `a request was answered zxid ${zxid}, which was never applied`)
    check(zxid > record.floor, `a request was answered zxid ${zxid}, sent after ${record.floor}`)
    check(!applied.acknowledged, `two requests were answered zxid ${zxid}`)
    applied.acknowledged = true
    check(isRequest(applied.update, record), `a request was answered with the result of another one, zxid ${zxid}`)
    if (!same(result, applied.expected)) check(false, `zxid ${zxid} was answered ${shown(result)}`)
    this.raise(zxid)
  }

  /** A read after a sync that was asked for when `floor` was `asked`. */
  read(asked: number, lastZxid: number, path: string, found: ZNode | number): void {
    check(lastZxid >= asked, `after a sync the last zxid is ${lastZxid}, it was ${asked} before`)
    this.raise(lastZxid)
    if (lastZxid !== this.model.zxid) return
    const node = this.model.nodes.get(path)
    if (node === undefined) check(found === ZCODE.NO_NODE, `${path} is there after zxid ${lastZxid}`)
    else check(typeof found !== 'number' && isNode(found, node), `${path} is wrong after zxid ${lastZxid}`)
  }

  /** All of a store, if it stands at the newest update. */
  content(tx: ReadTx): void {
    const fresh = new ZelosApplicator()
    const { nodes, sessions, zxid } = fresh.counters(tx)
    const { model } = this
    check(zxid <= model.zxid, `a store stands at zxid ${zxid}, updates went to ${model.zxid}`)
    if (zxid !== model.zxid || zxid === 0) return
    check(nodes === model.nodes.size, `${nodes} nodes instead of ${model.nodes.size} after zxid ${zxid}`)
    check(sessions === model.sessions.size, `${sessions} sessions instead of ${model.sessions.size} after zxid ${zxid}`)
    for (const [path, expected] of model.nodes) {
      const node = fresh.tree.read(tx, path)
      check(node !== undefined && isNode(node, expected), `${path} is wrong after zxid ${zxid}`)
    }
    for (const { id, ownerEpoch } of fresh.sessions.all(tx)) {
      check(ownerEpoch === model.sessions.get(id)?.epoch, `session ${id} is wrong after zxid ${zxid}`)
    }
  }

  private add(payload: Uint8Array, pos: number, zxid: number): void {
    check(zxid === this.applied.length + 1, `zxid ${zxid} comes after ${this.applied.length}`)
    const own = Buffer.from(payload)
    const { update } = decodeUpdate(own)
    const expected = this.model.apply(update, pos)
    this.applied.push({ payload: own, pos, update, expected, acknowledged: false })
    this.noted(update, expected)
  }

  private raise(zxid: number): void {
    if (zxid > this.floor) this.floor = zxid
  }
}

function isNode(node: ZNode, { creates, czxid, data, mzxid, owner, pzxid, version }: ModelNode): boolean {
  // The first nodes have data of their own.
  const isSame = czxid === 0 || Buffer.from(node.data ?? []).toString('latin1') === data
  const stat = node.version === version && node.czxid === czxid && node.mzxid === mzxid && node.pzxid === pzxid
  return isSame && stat && node.ephemeralOwner === owner && node.createdChildren === creates
}

function isRequest(update: Update, { operations, session }: RequestRecord): boolean {
  switch (update.kind) {
    case 'write':
      return update.requester.session === session && areEqual([update.operation], operations)
    case 'multi':
      return update.requester.session === session && areEqual(update.operations, operations)
    case 'closeSession':
      return update.requester.session === session && operations.length === 0
    default:
      return operations.length === 0
  }
}

function areEqual(found: readonly UpdateOperation[], sent: readonly UpdateOperation[]): boolean {
  return (
    found.length === sent.length &&
    found.every((one, i) => {
      const other = sent[i]
      if (one.op !== other?.op || one.path !== other.path) return false
      return 'data' in one && 'data' in other ? Buffer.compare(one.data ?? NOTHING, other.data ?? NOTHING) === 0 : true
    })
  )
}

const NOTHING = Buffer.alloc(0)

function same(result: UpdateResult, expected: ModelUpdateResult): boolean {
  if (!sameOperation(result, expected) || result.session?.ownerEpoch !== expected.epoch) return false
  const { results = [] } = expected
  return (result.results ?? []).every((one, i) => sameOperation(one, results[i]))
}

function sameOperation({ err, node, path }: OperationResult, expected: ModelResult | undefined): boolean {
  return err === expected?.err && path === expected.path && node?.version === expected.version
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) =>
    field instanceof Uint8Array ? Buffer.from(field).toString('latin1') : field,
  )
}
