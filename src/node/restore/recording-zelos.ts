// Zelos that, while it is played, notes every change of one node: who made it, when, from where, and what the node was before and after.

import type { Key } from '../../base/key.ts'
import type { Applicator } from '../../engine/engine.ts'
import type { Entry } from '../../engine/entry.ts'
import type { TimerService } from '../../engine/timer-service.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { decodeUpdate } from '../../zelos/request-codec.ts'
import type { Update, UpdateResult } from '../../zelos/requests.ts'
import { nodeKey } from '../../zelos/tree/key-space.ts'
import { ZelosApplicator } from '../../zelos/zelos-applicator.ts'
import type { ZNode } from '../../zelos/znode.ts'

/** One change of the node. */
export interface NodeChange {
  readonly position: number
  readonly zxid: number
  /** By the clock of the server that took the request. */
  readonly at: string
  readonly what: 'created' | 'deleted' | 'data' | 'acl' | 'children'
  /** The request: create, delete, setData, setAcl, multi, closeSession, expireSession, endSession (the rest of either), expireNode, newHistory. */
  readonly request: string
  /** 0: nobody's, the servers did it. */
  readonly session: string
  readonly address: string
  /** `scheme:id`, as authenticated. */
  readonly identities: readonly string[]
  /** Data versions; absent: there was, or is, no node. */
  readonly oldVersion?: number
  readonly newVersion?: number
  /** Bytes of data afterwards. */
  readonly dataLength?: number
}

export class RecordingZelos implements Applicator<UpdateResult> {
  private readonly zelos = new ZelosApplicator()
  private readonly path: string
  private readonly key: Key
  private readonly changed: (change: NodeChange) => void

  constructor(path: string, changed: (change: NodeChange) => void) {
    this.path = path
    this.key = nodeKey(path)
    this.changed = changed
  }

  useTimers(timers: TimerService): void {
    this.zelos.useTimers(timers)
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): UpdateResult {
    const before = tx.get(this.key)
    // A copy: the store may hand out memory that a put reuses.
    const old = before && this.zelos.tree.stored(tx, this.path)
    const result = this.zelos.apply(tx, entry, pos)
    const after = tx.get(this.key)
    if (!isSame(before, after)) {
      const now = after && this.zelos.tree.stored(tx, this.path)
      this.changed(changeOf(entry.payload ?? new Uint8Array(0), pos, result, old, now))
    }
    return result
  }

  postApply(entry: Entry, pos: LogPos, result: UpdateResult): void {
    this.zelos.postApply(entry, pos, result)
  }

  edited(tx: ReadTx, keys: readonly Key[]): void {
    this.zelos.edited(tx, keys)
  }
}

function isSame(before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
  if (before === undefined || after === undefined) return before === after
  return before === after || Buffer.compare(before, after) === 0
}

function changeOf(
  payload: Uint8Array,
  position: LogPos,
  { zxid }: UpdateResult,
  old: ZNode | undefined,
  now: ZNode | undefined,
): NodeChange {
  const { update, wallMs } = decodeUpdate(payload)
  const { address, identities, session } = whoOf(update)
  return {
    position,
    zxid,
    at: new Date(wallMs).toISOString(),
    what: whatOf(old, now),
    request: update.kind === 'write' ? update.operation.op : update.kind,
    session: `0x${session.toString(16)}`,
    address,
    identities,
    ...(old !== undefined && { oldVersion: old.version }),
    ...(now !== undefined && { newVersion: now.version, dataLength: now.data?.length ?? 0 }),
  }
}

function whatOf(old: ZNode | undefined, now: ZNode | undefined): NodeChange['what'] {
  if (now === undefined) return 'deleted'
  if (old === undefined || old.czxid !== now.czxid) return 'created'
  if (old.version !== now.version) return 'data'
  return old.aversion === now.aversion ? 'children' : 'acl'
}

function whoOf(update: Update): { session: number; address: string; identities: string[] } {
  if ('requester' in update) {
    const { address, identities, session } = update.requester
    return { session, address, identities: identities.map(({ id, scheme }) => `${scheme}:${id}`) }
  }
  const session = 'session' in update ? update.session : 0
  return { session, address: 'address' in update ? update.address : '', identities: [] }
}
