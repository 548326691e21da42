// The node /zookeeper/config: who serves this database and where clients reach them, in ZooKeeper's words. Written by no client but
// by what the servers announce of themselves, so that it can be watched like any node.
//
// Each announced member has a record under `m`: u8 format = 1, varint number, string address; the number is what ZooKeeper calls
// the id of a server, the smallest that was free.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { ReadTx } from '../../store/local-store.ts'
import type { Update } from '../requests.ts'
import type { ZNode } from '../znode.ts'
import type { ApplyState } from './apply-state.ts'
import { snapshotOf } from './cached-node.ts'
import { memberKey, memberOfKey, memberRange } from './key-space.ts'
import { CONFIG_NODE } from './node-path.ts'
import type { NodeTree } from './node-tree.ts'

const FORMAT = 1

interface Member {
  readonly number: number
  /** As ZooKeeper's configuration shows it, behind the number. */
  readonly address: string
}

export type Announcement = Pick<Extract<Update, { kind: 'announceMember' }>, 'server' | 'address' | 'members'>

export class ConfigNode {
  private readonly state: ApplyState
  private readonly tree: NodeTree

  constructor(state: ApplyState, tree: NodeTree) {
    this.state = state
    this.tree = tree
  }

  /** Would this announcement change nothing? */
  isKnown(reader: ReadTx, { server, address, members }: Announcement): boolean {
    const known = membersOf(reader)
    const isOwnKnown = (known.get(server)?.address ?? '') === address
    return isOwnKnown && [...known.keys()].every((one) => one === server || members.includes(one))
  }

  /** Takes the announcement; the node as it was and is now, if it has changed. */
  announce(
    { server, address, members }: Announcement,
    wallMs: number,
  ): { readonly before: ZNode; readonly after: ZNode } | undefined {
    const { tx, counters } = this.state
    const known = membersOf(tx)
    for (const one of [...known.keys()]) {
      if (one === server || members.includes(one)) continue
      known.delete(one)
      tx.delete(memberKey(one))
    }
    const member = { number: known.get(server)?.number ?? freeNumber(known), address }
    known.set(server, member)
    tx.put(memberKey(server), encode(member))
    const text = textOf(known)
    const before = this.tree.node(tx, CONFIG_NODE) as ZNode
    if (text === withoutVersion(before.data)) return undefined
    const data = Buffer.from(text === '' ? '' : `${text}\nversion=${counters.zxid.toString(16)}`)
    const was = snapshotOf(before)
    const changed = { ...was, data, mzxid: counters.zxid, mtime: wallMs, version: was.version + 1 }
    return { before: was, after: this.tree.replaceData(CONFIG_NODE, before, changed) }
  }
}

/** By the id of the server. */
function membersOf(reader: ReadTx): Map<string, Member> {
  const members = new Map<string, Member>()
  for (const [key, record] of reader.scan(memberRange())) members.set(memberOfKey(key), decode(record))
  return members
}

/** Those whose address is known. */
function textOf(members: ReadonlyMap<string, Member>): string {
  const shown = [...members.values()].filter(({ address }) => address !== '').sort((a, b) => a.number - b.number)
  return shown.map(({ number, address }) => `server.${number}=${address}`).join('\n')
}

function withoutVersion(data: Uint8Array | null): string {
  return Buffer.from(data ?? [])
    .toString('utf8')
    .replace(/\n?version=[0-9a-f]*$/, '')
}

function freeNumber(members: ReadonlyMap<string, Member>): number {
  const taken = new Set([...members.values()].map(({ number }) => number))
  let number = 1
  while (taken.has(number)) number++
  return number
}

function encode({ number, address }: Member): Uint8Array {
  const writer = new ByteWriter(64)
  writer.u8(FORMAT)
  writer.varint(number)
  writer.string(address)
  return writer.toBytes()
}

function decode(record: Uint8Array): Member {
  const reader = new ByteReader(record)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `record of a member of format ${format}`)
  return { number: reader.varint(), address: reader.string() }
}
