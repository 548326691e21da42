// The newest changes of the tree in the store, the same on all servers, so that a client which comes back can be told what it
// missed, whatever server it comes to. This half notes them in apply and drops the oldest; change-history.ts reads them.
//
// A block is written as it grows, once in each transaction: noting a change is to encode it. 40 to 60 ns with a path of 20 characters,
// and 1 µs a block.

import { ByteWriter } from '../base/byte-writer.ts'
import type { Key } from '../base/key.ts'
import { writeAclList } from './acl-list-codec.ts'
import {
  ageStep,
  BLOCK_HEADER_BYTES,
  type BlockStart,
  ChangeBlock,
  LISTS_FOLLOW,
  SAME_MOMENT,
  writeBlockStart,
} from './change-block.ts'
import { isOpenAcl, OPEN_ACL } from './tree/acl-rules.ts'
import type { ApplyState } from './tree/apply-state.ts'
import { changeBlockKey, changeBlockOfKey, changeRange } from './tree/key-space.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import { asBuffer } from './tree/uint64.ts'
import type { Acl, Zxid } from './znode.ts'

// All of these are replicated behaviour.

/** A block ends with so many changes, or bytes. One that a long path makes larger counts as several. */
export const BLOCK_CHANGES_MAX = 50
export const BLOCK_BYTES = 4096
/** A new one; it grows by doubling. */
const BLOCK_BYTES_MIN = 1024
/** So many are kept: 100 000 changes if paths have less than 70 characters, 8 MB if they have more. */
export const BLOCKS_KEPT = 2000
/** What a change takes at most besides path and lists. */
const CHANGE_BYTES = 1 + 8 + 8 + 4 + 4 + 5
const UTF8_BYTES_MAX = 3
/** UTF-16 units of a path whose bytes are not counted, but taken to be as many as they can be. */
const SHORT_PATH_CHARS = 300

const KIND = { created: 1, deleted: 2, dataChanged: 3 } as const
const SLAB_BYTES = 16 * BLOCK_BYTES

export class KeptChanges {
  private readonly state: ApplyState
  /** What follows is as the open transaction has it. */
  private isLoaded = false
  private isBegun = false
  private number = 0
  private key: Key = ''
  private block: Buffer = Buffer.alloc(0)
  /** A transaction has committed it: it must not be changed any more. */
  private isStored = false
  private used = 0
  private count = 0
  private zxid: Zxid = 0
  private age = 0
  private clock = 0
  private lists: Buffer[] = []
  /** Zeros; every byte of it is handed out once. */
  private slab: Buffer = Buffer.alloc(0)
  private slabUsed = 0
  private readonly writer = new ByteWriter(256)
  private readonly encodedLists = new WeakMap<readonly Acl[], Buffer>()

  constructor(state: ApplyState) {
    this.state = state
    state.onForget(() => {
      this.isLoaded = false
    })
    state.onBegin(() => {
      this.isStored = true
    })
  }

  /** Changes are noted, or will be from here on: at all servers from the same update on. */
  get begun(): boolean {
    this.load()
    return this.isBegun
  }

  /** Notes every change from the update `zxid` on. Void if that is so already. */
  begin(zxid: Zxid, wallMs: number): void {
    if (this.begun) return
    this.isBegun = true
    this.number = 1
    this.open({ zxid: zxid - 1, age: 0, clock: wallMs, isGap: true })
  }

  /** What an update has changed. */
  note(changes: readonly TreeChange[], zxid: Zxid, wallMs: number): void {
    if (!this.begun) return
    for (let i = 0; i < changes.length; i++) this.add(changes[i] as TreeChange, zxid, wallMs)
  }

  /** What clients have seen up to `zxid` may have been another history. */
  breakOff(zxid: Zxid): void {
    if (this.begun) this.roll({ zxid, age: this.age, clock: this.clock, isGap: true })
  }

  private add(change: TreeChange, zxid: Zxid, wallMs: number): void {
    const { path } = change
    const isOpen = hasOpenLists(change)
    const room = CHANGE_BYTES + roomForPath(path) + (isOpen ? 0 : this.roomForLists(change))
    if (this.count >= BLOCK_CHANGES_MAX || (this.used + room > BLOCK_BYTES && this.count > 0)) {
      this.roll({ zxid: this.zxid, age: this.age, clock: this.clock, isGap: false })
    }
    if (this.isStored || this.used + room > this.block.length) this.replaceBlock(this.used + room)
    const { block } = this
    let at = this.used
    const kind = KIND[change.type] | (isOpen ? 0 : LISTS_FOLLOW)
    const ms = wallMs > this.clock ? wallMs - this.clock : 0
    if (zxid === this.zxid && ms === 0 && this.count > 0) block[at++] = kind | SAME_MOMENT
    else {
      block[at] = kind
      at = putVarint(block, at + 1, zxid - this.zxid)
      at = putVarint(block, at, ms)
      this.zxid = zxid
      this.clock += ms
      this.age += ageStep(ms)
    }
    if (!isOpen) at = this.putLists(change, at)
    this.used = putPath(block, at, path)
    this.count++
  }

  /** Ends the block, and drops what the next one takes the place of. */
  private roll(start: BlockStart): void {
    const { tx } = this.state
    const { used } = this
    if (used < this.block.length) tx.put(this.key, this.block.subarray(0, used))
    const next = this.number + Math.max(1, Math.ceil(used / BLOCK_BYTES))
    for (let passed = this.number + 1; passed <= next; passed++) {
      if (passed > BLOCKS_KEPT) tx.delete(changeBlockKey(passed - BLOCKS_KEPT))
    }
    this.number = next
    this.open(start)
  }

  private open(start: BlockStart): void {
    this.zxid = start.zxid
    this.age = start.age
    this.clock = start.clock
    this.block = this.zeros(BLOCK_BYTES_MIN)
    writeBlockStart(this.block, start)
    this.isStored = false
    this.used = BLOCK_HEADER_BYTES
    this.count = 0
    this.lists = []
    this.key = changeBlockKey(this.number)
    this.state.tx.put(this.key, this.block)
  }

  /** One that may be changed, with at least `bytes`: how many that are depends on what is in it alone. */
  private replaceBlock(bytes: number): void {
    const { block } = this
    let capacity = block.length
    while (capacity < bytes) capacity *= 2
    const next = this.zeros(capacity)
    next.set(block)
    this.block = next
    this.isStored = false
    this.state.tx.put(this.key, next)
  }

  private load(): void {
    if (this.isLoaded) return
    this.isLoaded = true
    this.isBegun = false
    for (const [key, record] of this.state.tx.scan(changeRange(), { reverse: true, limit: 1 })) {
      const block = new ChangeBlock(record)
      this.count = 0
      while (block.next()) this.count++
      this.isBegun = true
      this.number = changeBlockOfKey(key)
      this.key = key
      this.block = asBuffer(record)
      this.isStored = true
      this.used = block.end
      this.lists = block.lists
      this.zxid = block.zxid
      this.age = block.age
      this.clock = block.clock
    }
  }

  private zeros(bytes: number): Buffer {
    if (bytes > BLOCK_BYTES) return Buffer.alloc(bytes)
    if (this.slabUsed + bytes > this.slab.length) {
      this.slab = Buffer.alloc(SLAB_BYTES)
      this.slabUsed = 0
    }
    const from = this.slabUsed
    this.slabUsed += bytes
    return this.slab.subarray(from, this.slabUsed)
  }

  // ── access lists, seldom ──────────────────────────────────────────────────────────────────────────────────────────────

  private putLists({ type, acl, parentAcl = OPEN_ACL }: TreeChange, from: number): number {
    const at = this.putList(acl, from)
    return type === 'dataChanged' ? at : this.putList(parentAcl, at)
  }

  private putList(acl: readonly Acl[], at: number): number {
    if (isOpenAcl(acl)) return putVarint(this.block, at, 0)
    const encoded = this.encoded(acl)
    const known = this.lists.findIndex((list) => list.equals(encoded))
    if (known !== -1) return putVarint(this.block, at, known + 1)
    const behind = putVarint(this.block, at, this.lists.push(encoded))
    this.block.set(encoded, behind)
    return behind + encoded.length
  }

  private roomForLists({ acl, parentAcl = OPEN_ACL }: TreeChange): number {
    return this.encoded(acl).length + this.encoded(parentAcl).length
  }

  private encoded(acl: readonly Acl[]): Buffer {
    const known = this.encodedLists.get(acl)
    if (known !== undefined) return known
    this.writer.reset()
    writeAclList(this.writer, acl)
    const encoded = this.writer.toBytes()
    this.encodedLists.set(acl, encoded)
    return encoded
  }
}

// By content where it is not the one object: what is written must not depend on what a cache holds.
function hasOpenLists({ acl, parentAcl }: TreeChange): boolean {
  if (acl !== OPEN_ACL && !isOpenAcl(acl)) return false
  return parentAcl === undefined || parentAcl === OPEN_ACL || isOpenAcl(parentAcl)
}

function roomForPath(path: string): number {
  return path.length > SHORT_PATH_CHARS ? Buffer.byteLength(path) : UTF8_BYTES_MAX * path.length
}

function putVarint(block: Buffer, at: number, value: number): number {
  let rest = value
  let to = at
  while (rest >= 0x80) {
    block[to++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  block[to] = rest
  return to + 1
}

// A call out of JavaScript costs more than copying a short path.
function putPath(block: Buffer, at: number, path: string): number {
  const chars = path.length
  if (chars < 0x80) {
    let i = 0
    for (; i < chars; i++) {
      const unit = path.charCodeAt(i)
      if (unit > 0x7f) break
      block[at + 1 + i] = unit
    }
    if (i === chars) {
      block[at] = chars
      return at + 1 + chars
    }
  }
  const behind = putVarint(block, at, Buffer.byteLength(path))
  return behind + block.utf8Write(path, behind)
}
