// Updates as bytes: the payload of Zelos' log entries. A stored format: golden file in testdata/zelos, described in
// docs/formats.md.
//
//   entry      u8 format, u8 kind, u64 wall clock of the proposer in ms, then by kind
//   format     1, and 1 more: hard limits of quotas refuse, 2 more: a quota is counted in pieces, 4 more: changes are kept
//   write      requester, operation        (kind = that of the operation)
//   multi      requester, varint count, (u8 kind, operation)*
//   create     string path, u8 flags, acl, data        delete, check   string path, i32 version
//   setData    string path, i32 version, data          setAcl          string path, i32 version, acl
//   createTimed  string path, u8 flags, u8 lifetime (1 TTL, 2 container), varint ms, acl, data
//   expireNode   string path, varint since, varint ms left
//   createSession  terms                   moveSession     varint session, terms
//   closeSession   requester               expireSession   varint session, varint heardAt
//   renewSessions  varint count, (varint session, varint owner epoch)*
//   newHistory     varint zxid             countQuota      string path of the quota
//   endSession     varint session          armTimers       nothing
//   announceMember string server, string address, varint count, (string server)*
//   terms      bytes password, varint timeout in ms, string address
//   requester  varint session, varint owner epoch, bytes { string address, varint count, (string scheme, string id)* }
//   acl        u8 1 (world:anyone, all) | u8 0, varint count, (i32 perms, string scheme, string id)*
//   data       varint 0 (null) | varint length + 1, bytes

import { unreachable } from '../base/assert.ts'
import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import { readAclList, writeAclList } from './acl-list-codec.ts'
import type { Requester, SessionRenewal, Update, UpdateOperation } from './requests.ts'
import { readRequester } from './stored-requester.ts'
import { isOpenAcl, OPEN_ACL } from './tree/acl-rules.ts'
import { isStatsOfQuota } from './tree/node-path.ts'
import type { Acl, Lifetime } from './znode.ts'

const FORMAT = 1
const FORMAT_ENFORCING = 2
/** Added to either, in an update that may begin a quota: one of an older build counts at once, and always will. */
const IN_PIECES = 2
/**
 * Added to any by a build that keeps changes and counts nodes with a lifetime: from the first such update on all servers do, and
 * those of older builds stop there.
 */
const KEEPS_CHANGES = 4

const KIND = {
  create: 1,
  delete: 2,
  setData: 3,
  setAcl: 4,
  check: 5,
  multi: 6,
  createSession: 7,
  moveSession: 8,
  closeSession: 9,
  expireSession: 10,
  renewSessions: 11,
  createTimed: 12,
  expireNode: 13,
  newHistory: 14,
  announceMember: 15,
  countQuota: 16,
  endSession: 17,
  armTimers: 18,
} as const

const LIFETIME = { ttl: 1, container: 2 } as const

function beginsQuota(operation: UpdateOperation): boolean {
  return operation.op === 'create' && isStatsOfQuota(operation.path)
}

// A kind of its own, so that a server of a version without it stops instead of making a node that stays.
function kindOf(operation: UpdateOperation): number {
  return operation.op === 'create' && operation.lifetime !== undefined ? KIND.createTimed : KIND[operation.op]
}

/** Writes updates; one per database, its buffer is used again and again. */
export class UpdateEncoder {
  private readonly writer = new ByteWriter(4096)
  private readonly format: number
  // A connection's requester is one object for as long as its identities stay the same.
  private readonly credentials = new WeakMap<Requester, Buffer>()

  /**
   * `enforceQuotas`: hard limits refuse the updates of this server. `keepChanges`: not in updates that apply writes, whose bytes are
   * the same in all builds.
   */
  constructor(enforceQuotas = false, keepChanges = false) {
    this.format = (enforceQuotas ? FORMAT_ENFORCING : FORMAT) + (keepChanges ? KEEPS_CHANGES : 0)
  }

  /** The entry's payload in a buffer of its own. `wallMs`: what nodes get as ctime and mtime. */
  encode(update: Update, wallMs: number): Buffer {
    if (update.kind === 'write') return this.encodeWrite(update.requester, update.operation, wallMs)
    const { writer } = this
    this.begin(KIND[update.kind], wallMs, update.kind === 'multi' && update.operations.some(beginsQuota))
    switch (update.kind) {
      case 'multi':
        this.requester(update.requester)
        writer.varint(update.operations.length)
        for (const operation of update.operations) {
          writer.u8(kindOf(operation))
          this.operation(operation)
        }
        break
      case 'createSession':
        this.sessionTerms(update)
        break
      case 'moveSession':
        writer.varint(update.session)
        this.sessionTerms(update)
        break
      case 'closeSession':
        this.requester(update.requester)
        break
      case 'expireSession':
        writer.varint(update.session)
        writer.varint(update.heardAt)
        break
      case 'expireNode':
        writer.string(update.path)
        writer.varint(update.since)
        writer.varint(update.leftMs)
        break
      case 'newHistory':
        writer.varint(update.zxidAbove)
        break
      case 'countQuota':
        writer.string(update.quota)
        break
      case 'endSession':
        writer.varint(update.session)
        break
      case 'armTimers':
        break
      case 'announceMember':
        writer.string(update.server)
        writer.string(update.address)
        writer.varint(update.members.length)
        for (const member of update.members) writer.string(member)
        break
      case 'renewSessions':
        writer.varint(update.sessions.length)
        for (const { session, ownerEpoch } of update.sessions) {
          writer.varint(session)
          writer.varint(ownerEpoch)
        }
        break
      default:
        unreachable(update)
    }
    return this.taken()
  }

  /** The same as `encode({ kind: 'write', … })`, without that object. */
  encodeWrite(requester: Requester, operation: UpdateOperation, wallMs: number): Buffer {
    this.begin(kindOf(operation), wallMs, beginsQuota(operation))
    this.requester(requester)
    this.operation(operation)
    return this.taken()
  }

  private begin(kind: number, wallMs: number, inPieces: boolean): void {
    const { writer } = this
    writer.reset()
    writer.u8(inPieces ? this.format + IN_PIECES : this.format)
    writer.u8(kind)
    writer.u64(wallMs)
  }

  private taken(): Buffer {
    const written = this.writer.peek()
    const payload = Buffer.allocUnsafe(written.length)
    payload.set(written)
    return payload
  }

  private operation(operation: UpdateOperation): void {
    const { writer } = this
    writer.string(operation.path)
    switch (operation.op) {
      case 'setData':
        writer.i32(operation.version)
        this.data(operation.data)
        break
      case 'create':
        writer.u8(operation.flags)
        if (operation.lifetime !== undefined) this.lifetime(operation.lifetime)
        this.acl(operation.acl)
        this.data(operation.data)
        break
      case 'delete':
      case 'check':
        writer.i32(operation.version)
        break
      case 'setAcl':
        writer.i32(operation.version)
        this.acl(operation.acl)
        break
      default:
        unreachable(operation)
    }
  }

  private lifetime({ kind, ms }: Lifetime): void {
    this.writer.u8(LIFETIME[kind])
    this.writer.varint(ms)
  }

  private requester(requester: Requester): void {
    const { writer } = this
    writer.varint(requester.session)
    writer.varint(requester.ownerEpoch)
    writer.bytes(this.credentials.get(requester) ?? this.encodeCredentials(requester))
  }

  private encodeCredentials(requester: Requester): Buffer {
    const writer = new ByteWriter(64)
    writer.string(requester.address)
    writer.varint(requester.identities.length)
    for (const identity of requester.identities) {
      writer.string(identity.scheme)
      writer.string(identity.id)
    }
    const encoded = writer.toBytes()
    this.credentials.set(requester, encoded)
    return encoded
  }

  private sessionTerms(terms: { password: Uint8Array; timeoutMs: number; address: string }): void {
    this.writer.bytes(terms.password)
    this.writer.varint(terms.timeoutMs)
    this.writer.string(terms.address)
  }

  private data(data: Uint8Array | null): void {
    const { writer } = this
    if (data === null) return writer.varint(0)
    writer.varint(data.length + 1)
    writer.raw(data)
  }

  private acl(acl: readonly Acl[]): void {
    if (isOpenAcl(acl)) return this.writer.u8(1)
    this.writer.u8(0)
    writeAclList(this.writer, acl)
  }
}

/** An entry's payload, read. */
export interface DecodedUpdate {
  readonly wallMs: number
  readonly enforceQuotas: boolean
  readonly countInPieces: boolean
  readonly keepChanges: boolean
  readonly update: Update
}

/** Reads a payload; data and passwords are views of `bytes`. Throws DelosError CORRUPT or FORMAT. */
export function decodeUpdate(bytes: Uint8Array): DecodedUpdate {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format < FORMAT || format > FORMAT_ENFORCING + IN_PIECES + KEEPS_CHANGES) {
    throw new DelosError('FORMAT', `update of format ${format}`)
  }
  const kind = reader.u8()
  const wallMs = reader.u64()
  const marks = format - FORMAT
  const enforceQuotas = (marks & 1) !== 0
  const countInPieces = (marks & IN_PIECES) !== 0
  const keepChanges = (marks & KEEPS_CHANGES) !== 0
  return { wallMs, enforceQuotas, countInPieces, keepChanges, update: readUpdate(reader, kind, bytes) }
}

function readUpdate(reader: ByteReader, kind: number, payload: Uint8Array): Update {
  switch (kind) {
    case KIND.multi:
      return { kind: 'multi', requester: readRequester(reader, payload), operations: readOperations(reader) }
    case KIND.createSession:
      return { kind: 'createSession', ...readSessionTerms(reader) }
    case KIND.moveSession:
      return { kind: 'moveSession', session: reader.varint(), ...readSessionTerms(reader) }
    case KIND.closeSession:
      return { kind: 'closeSession', requester: readRequester(reader, payload) }
    case KIND.expireSession:
      return { kind: 'expireSession', session: reader.varint(), heardAt: reader.varint() }
    case KIND.expireNode:
      return { kind: 'expireNode', path: reader.string(), since: reader.varint(), leftMs: reader.varint() }
    case KIND.newHistory:
      return { kind: 'newHistory', zxidAbove: reader.varint() }
    case KIND.countQuota:
      return { kind: 'countQuota', quota: reader.string() }
    case KIND.armTimers:
      return { kind: 'armTimers' }
    case KIND.endSession:
      return { kind: 'endSession', session: reader.varint() }
    case KIND.announceMember:
      return { kind: 'announceMember', server: reader.string(), address: reader.string(), members: readStrings(reader) }
    case KIND.renewSessions:
      return { kind: 'renewSessions', sessions: readRenewals(reader) }
    default:
      return { kind: 'write', requester: readRequester(reader, payload), operation: readOperation(reader, kind) }
  }
}

function readOperations(reader: ByteReader): UpdateOperation[] {
  const operations: UpdateOperation[] = []
  for (let left = reader.varint(); left > 0; left--) operations.push(readOperation(reader, reader.u8()))
  return operations
}

function readOperation(reader: ByteReader, kind: number): UpdateOperation {
  const path = reader.string()
  switch (kind) {
    case KIND.setData: {
      const version = reader.i32()
      return { op: 'setData', path, data: readData(reader), version }
    }
    case KIND.create: {
      const flags = reader.u8()
      const acl = readAcl(reader)
      return { op: 'create', path, data: readData(reader), acl, flags }
    }
    case KIND.createTimed: {
      const flags = reader.u8()
      const lifetime = readLifetime(reader)
      const acl = readAcl(reader)
      return { op: 'create', path, data: readData(reader), acl, flags, lifetime }
    }
    case KIND.delete:
      return { op: 'delete', path, version: reader.i32() }
    case KIND.check:
      return { op: 'check', path, version: reader.i32() }
    case KIND.setAcl: {
      const version = reader.i32()
      return { op: 'setAcl', path, acl: readAcl(reader), version }
    }
    default:
      throw new DelosError('FORMAT', `update of unknown kind ${kind}`)
  }
}

function readLifetime(reader: ByteReader): Lifetime {
  const kind = reader.u8()
  if (kind !== LIFETIME.ttl && kind !== LIFETIME.container) throw new DelosError('FORMAT', `lifetime of kind ${kind}`)
  return { kind: kind === LIFETIME.ttl ? 'ttl' : 'container', ms: reader.varint() }
}

function readData(reader: ByteReader): Uint8Array | null {
  const length = reader.varint()
  return length === 0 ? null : reader.raw(length - 1)
}

function readAcl(reader: ByteReader): readonly Acl[] {
  return reader.u8() === 1 ? OPEN_ACL : readAclList(reader)
}

function readSessionTerms(reader: ByteReader): { password: Uint8Array; timeoutMs: number; address: string } {
  return { password: reader.bytes(), timeoutMs: reader.varint(), address: reader.string() }
}

function readStrings(reader: ByteReader): string[] {
  return Array.from({ length: reader.varint() }, () => reader.string())
}

function readRenewals(reader: ByteReader): SessionRenewal[] {
  const sessions: SessionRenewal[] = []
  for (let left = reader.varint(); left > 0; left--) {
    sessions.push({ session: reader.varint(), ownerEpoch: reader.varint() })
  }
  return sessions
}
