// Access control lists, each stored once: nodes hold an id. Lists are counted by the nodes that use them and go with the
// last one. The open list has the fixed id 0 and is neither stored nor counted, so most nodes cost nothing here.
//
// Record: u8 format = 1, u64 count of nodes, then the list (varint count, (i32 perms, string scheme, string id)*).

import { assert } from '../../base/assert.ts'
import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { keyOfBytes } from '../../base/key.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { readAclList, writeAclList } from '../acl-list-codec.ts'
import type { Acl } from '../znode.ts'
import { isOpenAcl, OPEN_ACL } from './acl-rules.ts'
import type { ApplyState } from './apply-state.ts'
import { aclContentKey, aclKey } from './key-space.ts'
import type { CacheLimits, StagedCache } from './staged-cache.ts'
import { asBuffer, readUint64, uint64Record } from './uint64.ts'

/** The id of world:anyone with all permissions. */
export const OPEN_ACL_ID = 0

const FORMAT = 1
const HEADER_BYTES = 9
const ENTRY_BYTES = 100

export class AclStore {
  private readonly state: ApplyState
  private readonly lists: StagedCache<number, readonly Acl[]>
  /** Lists that went in the last transaction, for reads of how things were before. */
  private readonly gone = new Map<number, readonly Acl[]>()

  constructor(state: ApplyState, limits: CacheLimits) {
    this.state = state
    this.lists = state.cache(limits, (acl) => acl.length * ENTRY_BYTES)
    state.onBegin(() => this.gone.clear())
  }

  /** The list with this id, in apply or as committed. */
  list(reader: ReadTx, aclId: number): readonly Acl[] {
    if (aclId === OPEN_ACL_ID) return OPEN_ACL
    const known = this.lists.get(aclId)
    if (known != null) return known
    const record = reader.get(aclKey(aclId))
    if (record === undefined) return this.listGone(aclId)
    const acl = readAclList(new ByteReader(record, HEADER_BYTES))
    this.lists.admit(aclId, acl)
    return acl
  }

  private listGone(aclId: number): readonly Acl[] {
    const acl = this.gone.get(aclId)
    if (acl === undefined) throw new DelosError('CORRUPT', `no access list ${aclId}`)
    return acl
  }

  /** The id of this list, for one more node. */
  take(acl: readonly Acl[]): number {
    if (isOpenAcl(acl)) return OPEN_ACL_ID
    const { tx, counters } = this.state
    const content = encodeList(acl)
    const contentKey = aclContentKey(keyOfBytes(content))
    const known = tx.get(contentKey)
    if (known !== undefined) {
      const aclId = readUint64(asBuffer(known), 0)
      this.count(aclId, 1)
      return aclId
    }
    const aclId = counters.nextAclId++
    tx.put(contentKey, uint64Record(aclId))
    tx.put(aclKey(aclId), encodeRecord(1, content))
    this.lists.stage(aclId, acl)
    return aclId
  }

  /** One node less uses this list. */
  release(aclId: number): void {
    if (aclId !== OPEN_ACL_ID) this.count(aclId, -1)
  }

  private count(aclId: number, change: number): void {
    const { tx } = this.state
    const stored = tx.get(aclKey(aclId))
    assert(stored !== undefined, `no access list ${aclId}`)
    const record = asBuffer(stored)
    const count = readUint64(record, 1) + change
    const content = record.subarray(HEADER_BYTES)
    if (count > 0) {
      tx.put(aclKey(aclId), encodeRecord(count, content))
      return
    }
    this.gone.set(aclId, readAclList(new ByteReader(content)))
    tx.delete(aclKey(aclId))
    tx.delete(aclContentKey(keyOfBytes(content)))
    this.lists.stage(aclId, null)
  }
}

function encodeList(acl: readonly Acl[]): Buffer {
  const writer = new ByteWriter(128)
  writeAclList(writer, acl)
  return writer.toBytes()
}

function encodeRecord(count: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(FORMAT), uint64Record(count), content])
}
