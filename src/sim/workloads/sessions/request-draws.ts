// Which requests the clients of the workload make: few nodes that all of them fight for, so that watches fire, and nodes of their
// own, so that ephemerals die. Every update can be told from every other of its session.

import { CREATE_EPHEMERAL, CREATE_SEQUENTIAL } from '../../../zelos/requests.ts'
import { OP } from '../../../zookeeper/codec/opcodes.ts'
import { WATCH_MODE } from '../../../zookeeper/codec/watch-codes.ts'
import type { CreateRequest, SetDataRequest, WireRequest } from '../../../zookeeper/codec/wire-requests.ts'
import type { SeededRandom } from '../../seeded-random.ts'

const ACL = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const FOLDERS = ['/a', '/b', '/c', '/d', '/e']
const NAMES = 6

/** `deleted`: what this session has asked to delete, once. */
export function drawRequest(random: SeededRandom, client: number, deleted: Set<string>): WireRequest {
  const choice = random.fraction()
  if (choice < 0.25) return drawUpdate(random, client)
  if (choice < 0.35) {
    const path = node(random)
    if (deleted.has(path)) return { op: OP.sync, path }
    deleted.add(path)
    return { op: OP.delete, path, version: -1 }
  }
  if (choice < 0.4) return { op: OP.multi, operations: [create(random, client), setData(random)] }
  if (choice < 0.45) return { op: OP.sync, path: '/' }
  const watch = random.chance(0.5)
  if (choice < 0.6) return { op: OP.getData, path: node(random), watch }
  if (choice < 0.8) return { op: OP.exists, path: node(random), watch }
  if (choice < 0.93) {
    const op = random.pick([OP.getChildren, OP.getChildren2])
    return { op, path: random.pick(FOLDERS), watch: random.chance(0.2) }
  }
  if (choice < 0.98) return { op: OP.ping }
  const mode = random.pick([WATCH_MODE.persistent, WATCH_MODE.persistentRecursive])
  return { op: OP.addWatch, path: random.chance(0.3) ? random.pick(FOLDERS) : node(random), mode }
}

/** A folder that is not there is made by whoever comes first. */
function makeFolder(random: SeededRandom): CreateRequest {
  return { op: OP.create, path: random.pick(FOLDERS), data: token(random), acl: ACL, flags: 0, ttlMs: 0 }
}

function drawUpdate(random: SeededRandom, client: number): WireRequest {
  const choice = random.fraction()
  if (choice < 0.08) return makeFolder(random)
  if (choice < 0.35) return setData(random)
  return create(random, client)
}

function create(random: SeededRandom, client: number): CreateRequest {
  const op = random.pick([OP.create, OP.create2])
  if (random.chance(0.15)) {
    const path = `${random.pick(FOLDERS)}/own-${client}-`
    return { op, path, data: token(random), acl: ACL, flags: CREATE_EPHEMERAL | CREATE_SEQUENTIAL, ttlMs: 0 }
  }
  const flags = random.chance(0.8) ? CREATE_EPHEMERAL : 0
  return { op, path: node(random), data: token(random), acl: ACL, flags, ttlMs: 0 }
}

function setData(random: SeededRandom): SetDataRequest {
  return { op: OP.setData, path: node(random), data: token(random), version: -1 }
}

function node(random: SeededRandom): string {
  return `${random.pick(FOLDERS)}/n${random.below(NAMES)}`
}

function token(random: SeededRandom): Buffer {
  return Buffer.from(random.uint32().toString(36) + random.uint32().toString(36), 'latin1')
}
