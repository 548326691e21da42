// Changes of the tree as they are stored: blocks of some tens, numbered as they come. Stored format 1; golden file in
// testdata/zelos. Which blocks there are, and for how long, is decided in kept-changes.ts.
//
//   0 format  1 flags (1: of what was before it nothing is known)  2 u64 zxid, 10 u64 age, 18 u64 clock: of the change before it
//   26 changes: u8 type (1 created, 2 deleted, 3 dataChanged; 4 more: of the same moment as the change before it; 8 more: lists follow)
//      varint zxids, varint ms of the clock since the change before it, unless of the same moment
//      varint list of the node, varint list of its parent (not for dataChanged), if they follow: 0 the open one, else the so many'th
//             of the block; one that is new to the block stands behind its number
//      string path
//      The newest block ends with zeros.
//
// *Clock* is the newest wall clock that any proposer has stamped. *Age* is how far it has gone, steps above AGE_STEP_MS_MAX counted as
// so many: a clock that jumps, or a night without changes, must not make recent changes look old.

import { ByteReader } from '../base/byte-reader.ts'
import { DelosError } from '../base/delos-error.ts'
import { readAclList } from './acl-list-codec.ts'
import { OPEN_ACL } from './tree/acl-rules.ts'
import type { TreeChange } from './tree/tree-updates.ts'
import { asBuffer, readUint64, writeUint64 } from './tree/uint64.ts'
import type { Acl, Zxid } from './znode.ts'

const FORMAT = 1
export const BLOCK_HEADER_BYTES = 26
const TYPES = [undefined, 'created', 'deleted', 'dataChanged'] as const
const TYPE_BITS = 3
export const SAME_MOMENT = 4
export const LISTS_FOLLOW = 8
/** Replicated behaviour. */
export const AGE_STEP_MS_MAX = 10_000

/** Where a block begins: behind the change that came before it. */
export interface BlockStart {
  readonly zxid: Zxid
  readonly age: number
  readonly clock: number
  /** There were changes before that nobody noted. */
  readonly isGap: boolean
}

/** `block` holds nothing but zeros. */
export function writeBlockStart(block: Buffer, { zxid, age, clock, isGap }: BlockStart): void {
  const fields = new DataView(block.buffer, block.byteOffset, BLOCK_HEADER_BYTES)
  block[0] = FORMAT
  block[1] = isGap ? 1 : 0
  writeUint64(fields, 2, zxid)
  writeUint64(fields, 10, age)
  writeUint64(fields, 18, clock)
}

/** How far the age goes when the clock goes `ms` on. */
export function ageStep(ms: number): number {
  return ms > AGE_STEP_MS_MAX ? AGE_STEP_MS_MAX : ms
}

/** Reads a block change by change: `next`, then the fields are those of the change. About 15 ns a change. */
export class ChangeBlock {
  readonly start: BlockStart
  zxid: Zxid
  age: number
  clock: number
  type: TreeChange['type'] = 'created'
  /** Where its path is in the block. */
  pathFrom = 0
  pathTo = 0
  acl: readonly Acl[] = OPEN_ACL
  parentAcl: readonly Acl[] | undefined
  /** The lists of the block up to here, as bytes of it. */
  readonly lists: Buffer[] = []
  private readonly decoded: (readonly Acl[])[] = []
  private readonly block: Buffer
  private at = BLOCK_HEADER_BYTES

  constructor(record: Uint8Array) {
    const block = asBuffer(record)
    if (block.length < BLOCK_HEADER_BYTES) throw new DelosError('CORRUPT', `block of changes of ${block.length} bytes`)
    if (block[0] !== FORMAT) throw new DelosError('FORMAT', `block of changes of format ${block[0]}`)
    const [zxid, age, clock] = [readUint64(block, 2), readUint64(block, 10), readUint64(block, 18)]
    this.block = block
    this.start = { zxid, age, clock, isGap: block[1] === 1 }
    this.zxid = zxid
    this.age = age
    this.clock = clock
  }

  /** Behind the newest change that was read. */
  get end(): number {
    return this.at
  }

  /** False if there are no more. */
  next(): boolean {
    const { block } = this
    const kind = this.at < block.length ? (block[this.at] as number) : 0
    const type = TYPES[kind & TYPE_BITS]
    if (type === undefined) return false
    this.at++
    this.type = type
    if ((kind & SAME_MOMENT) === 0) {
      this.zxid += this.varint()
      const ms = this.varint()
      this.clock += ms
      this.age += ageStep(ms)
    }
    this.acl = OPEN_ACL
    this.parentAcl = type === 'dataChanged' ? undefined : OPEN_ACL
    if ((kind & LISTS_FOLLOW) !== 0) {
      this.acl = this.list()
      if (type !== 'dataChanged') this.parentAcl = this.list()
    }
    const length = this.varint()
    this.pathFrom = this.at
    this.pathTo = this.at + length
    this.at = this.pathTo
    if (this.at > block.length) throw new DelosError('CORRUPT', 'a block of changes that is cut off')
    return true
  }

  /** Does the path begin with these bytes? */
  pathHasPrefix(prefix: Uint8Array): boolean {
    const { block, pathFrom } = this
    if (this.pathTo - pathFrom < prefix.length) return false
    for (let i = prefix.length - 1; i >= 0; i--) if (block[pathFrom + i] !== prefix[i]) return false
    return true
  }

  change(): TreeChange {
    const path = this.block.utf8Slice(this.pathFrom, this.pathTo)
    return { type: this.type, path, acl: this.acl, parentAcl: this.parentAcl }
  }

  private varint(): number {
    const { block } = this
    let byte = block[this.at++] as number
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let scale = 0x80; byte >= 0x80 && this.at < block.length; scale *= 0x80) {
      byte = block[this.at++] as number
      value += (byte & 0x7f) * scale
    }
    return value
  }

  private list(): readonly Acl[] {
    const index = this.varint()
    if (index === 0) return OPEN_ACL
    if (index === this.lists.length + 1) {
      const reader = new ByteReader(this.block, this.at)
      const acl = readAclList(reader)
      this.lists.push(this.block.subarray(this.at, reader.position))
      this.decoded.push(acl)
      this.at = reader.position
    }
    const acl = this.decoded[index - 1]
    if (acl === undefined) throw new DelosError('CORRUPT', `a change names list ${index} of its block`)
    return acl
  }
}
