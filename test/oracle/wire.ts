// Requests of the oracle as bytes, and replies as fields whose names say how they are compared. The codec is the tests' own.

import { type JuteReader, JuteWriter } from '../support/jute.ts'
import { type Damage, OPCODES, type OpName, placed, type Request, type ZxidOf } from './steps.ts'

export interface Place {
  /** The path of the round. */
  readonly root: string
  readonly zxid: (of: ZxidOf) => bigint
}

/** Any decoded record: its leaves are compared by the name of their field. */
export type Fields = { readonly [name: string]: unknown }

const SPECIAL_XIDS: { readonly [op in OpName]?: number } = { ping: -2, auth: -4, setWatches: -8, setWatches2: -8 }

export function encodeRequest(request: Request, xid: number, place: Place): Buffer {
  const number = request.opcode ?? OPCODES[request.op]
  const body = damaged(encodeBody(request, place), request.damage)
  return new JuteWriter()
    .int(request.xid ?? SPECIAL_XIDS[request.op] ?? xid)
    .int(number)
    .raw(body)
    .done()
}

function damaged(body: Buffer, damage: Damage | undefined): Buffer {
  switch (damage?.kind) {
    case undefined:
      return body
    case 'keep':
      return body.subarray(0, damage.bytes)
    case 'append':
      return Buffer.concat([body, Buffer.from(damage.hex, 'hex')])
    case 'patch': {
      const patched = Buffer.from(body)
      Buffer.from(damage.hex, 'hex').copy(patched, Math.min(damage.at, patched.length))
      return patched
    }
  }
}

function encodeBody(request: Request, place: Place): Buffer {
  const writer = new JuteWriter()
  if ('path' in request) writer.string(placed(request.path, place.root))
  const at = (paths: readonly string[]): string[] => paths.map((path) => placed(path, place.root))
  switch (request.op) {
    case 'create':
    case 'create2':
    case 'createContainer':
      return writer.buffer(text(request.data)).acls(request.acl).int(request.flags).done()
    case 'createTTL':
      return writer.buffer(text(request.data)).acls(request.acl).int(request.flags).long(BigInt(request.ttl)).done()
    case 'delete':
    case 'check':
      return writer.int(request.version).done()
    case 'exists':
    case 'getData':
    case 'getChildren':
    case 'getChildren2':
      return writer.bool(request.watch).done()
    case 'setData':
      return writer.buffer(text(request.data)).int(request.version).done()
    case 'setACL':
      return writer.acls(request.acl).int(request.version).done()
    case 'createSession':
      return writer.int(request.timeoutMs).done()
    case 'multi':
    case 'multiRead':
      for (const op of request.ops) {
        const number = op.opcode ?? OPCODES[op.op]
        writer
          .int(number)
          .bool(false)
          .int(-1)
          .raw(damaged(encodeBody(op, place), op.damage))
      }
      return writer.int(-1).bool(true).int(-1).done()
    case 'reconfig':
      return writer
        .string(request.joining)
        .string(request.leaving)
        .string(request.members)
        .long(BigInt(request.version))
        .done()
    case 'checkWatches':
    case 'removeWatches':
      return writer.int(request.type).done()
    case 'addWatch':
      return writer.int(request.mode).done()
    case 'auth':
      return writer.int(0).string(request.scheme).buffer(Buffer.from(request.auth)).done()
    case 'sasl':
      return writer.buffer(Buffer.from(request.token)).done()
    case 'setWatches':
    case 'setWatches2':
      writer
        .long(place.zxid(request.since))
        .strings(at(request.data))
        .strings(at(request.exist))
        .strings(at(request.child))
      if (request.op === 'setWatches2') writer.strings(at(request.persistent)).strings(at(request.recursive))
      return writer.done()
    default:
      return writer.done()
  }
}

function text(data: string | null): Buffer | null {
  return data === null ? null : Buffer.from(data, 'utf8')
}

/** The record of a successful reply. Lists in which neither server keeps an order are sorted. */
export function decodeReply(op: OpName, reader: JuteReader): Fields {
  switch (op) {
    case 'create':
    case 'sync':
      return { path: reader.string() }
    case 'create2':
    case 'createContainer':
    case 'createTTL':
      return { path: reader.string(), stat: reader.stat() }
    case 'exists':
    case 'setData':
    case 'setACL':
      return { stat: reader.stat() }
    case 'getData':
    case 'reconfig':
      return { data: textOf(reader.buffer()), stat: reader.stat() }
    case 'getACL':
      return { acl: sortedBy(reader.acls(), JSON.stringify), stat: reader.stat() }
    case 'getChildren':
      return { children: reader.strings().sort() }
    case 'getChildren2':
      return { children: reader.strings().sort(), stat: reader.stat() }
    case 'multi':
    case 'multiRead':
      return { results: decodeResults(reader) }
    case 'sasl':
      return { token: textOf(reader.buffer()) }
    case 'getEphemerals':
      return { ephemerals: reader.strings().sort() }
    case 'getAllChildrenNumber':
      return { totalNumber: reader.int() }
    case 'addWatch':
      return { error: reader.int() }
    case 'whoAmI':
      return { clientInfo: decodeIdentities(reader) }
    default:
      return {}
  }
}

function decodeResults(reader: JuteReader): Fields[] {
  const results: Fields[] = []
  for (;;) {
    const [type, done, err] = [reader.int(), reader.bool(), reader.int()]
    if (done) return [...results, { type, done, err }]
    results.push({ type, done, err, ...decodeResult(type, reader) })
  }
}

function decodeResult(type: number, reader: JuteReader): Fields {
  switch (type) {
    case -1:
      return { error: reader.int() }
    case OPCODES.create:
      return decodeReply('create', reader)
    case OPCODES.create2:
    case OPCODES.createContainer:
    case OPCODES.createTTL:
      return decodeReply('create2', reader)
    case OPCODES.setData:
      return decodeReply('setData', reader)
    case OPCODES.getData:
      return decodeReply('getData', reader)
    case OPCODES.getChildren:
      return decodeReply('getChildren', reader)
    default:
      return {}
  }
}

function decodeIdentities(reader: JuteReader): Fields[] {
  const identities: Fields[] = []
  for (let left = reader.int(); left > 0; left--) identities.push({ scheme: reader.string(), user: reader.string() })
  return sortedBy(identities, JSON.stringify)
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('latin1')
}

function sortedBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}
