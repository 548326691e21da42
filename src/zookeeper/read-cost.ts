// How long a read will take, guessed when it arrives: reads that wait behind an update are answered in one piece with it, so updates
// behind many or long ones have to wait (flow-control.ts). Not here: what is done about it.

import type { ZelosWalks } from '../zelos/zelos.ts'
import { OP } from './codec/opcodes.ts'
import type { SubRead, WireRequest } from './codec/wire-requests.ts'

/** Microseconds, measured: of any read, of a name in a list, of a thousand bytes of data. */
const READ_US = 2
const NAME_US = 0.6
const DATA_KB_US = 0.5
/** A creation in a multi has at least so many bytes. */
const CREATION_BYTES = 40
/** Reads of a multiRead that are looked at; one of more is long. */
const LOOKED_AT_MAX = 100
const LONG_US = 100_000

/** What updates that wait before a read may add to what it reads. */
export interface Growth {
  /** Nodes that they create, at most. */
  readonly children: number
  /** The longest of them: data can have become that long. */
  readonly dataBytes: number
}

/** Of the nodes as they are now. */
export type Sizes = Pick<ZelosWalks, 'childCount' | 'dataBytes'>

/** Microseconds. Costs a look at the node, 0.2 µs if it is in memory; nothing for what reads no node. */
export function readCostUs(sizes: Sizes, request: WireRequest, growth: Growth): number {
  switch (request.op) {
    case OP.getData:
    case OP.getChildren:
    case OP.getChildren2:
      return nodeCostUs(sizes, request.op, request.path, growth)
    case OP.multiRead:
      return multiReadCostUs(sizes, request.reads, growth)
    default:
      return READ_US
  }
}

/** How many nodes an update of so many bytes may create. */
export function creationsMax(op: number, bytes: number): number {
  return op === OP.multi ? Math.ceil(bytes / CREATION_BYTES) : 1
}

function nodeCostUs(sizes: Sizes, op: number, path: string, growth: Growth): number {
  if (op !== OP.getData) return READ_US + (sizes.childCount(path) + growth.children) * NAME_US
  return READ_US + (Math.max(sizes.dataBytes(path), growth.dataBytes) / 1000) * DATA_KB_US
}

function multiReadCostUs(sizes: Sizes, reads: readonly SubRead[], growth: Growth): number {
  if (reads.length > LOOKED_AT_MAX) return LONG_US
  let us = READ_US
  for (const { op, path } of reads) us += nodeCostUs(sizes, op, path, growth)
  return us
}
