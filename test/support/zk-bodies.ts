// Bodies of creates and multis as the tests' client sends and reads them.

import { type Acl, type JuteReader, JuteWriter, type Stat } from './jute.ts'
import { Op, openAcl } from './zk-protocol.ts'

export interface MultiOp {
  readonly op: 'create' | 'create2' | 'delete' | 'setData' | 'check'
  readonly path: string
  /** create, create2 and setData. */
  readonly data?: string
  /** create and create2. */
  readonly flags?: number
  readonly acl?: readonly Acl[]
  /** delete, setData and check; default -1. */
  readonly version?: number
}

/** One result of a multi. `err` is that of the ErrorResponse for type -1, else 0. */
export interface MultiResult {
  readonly type: number
  readonly err: number
  readonly path?: string
  readonly stat?: Stat
}

export function bytes(data: string | Uint8Array | null): Uint8Array | null {
  return typeof data === 'string' ? Buffer.from(data, 'utf8') : data
}

export function encodeCreate(
  path: string,
  data: string | Uint8Array | null,
  flags: number,
  acl: readonly Acl[],
): Buffer {
  return new JuteWriter().string(path).buffer(bytes(data)).acls(acl).int(flags).done()
}

/** A multi's body; exported so that tests can damage it. */
export function encodeMulti(ops: readonly MultiOp[]): Buffer {
  const writer = new JuteWriter()
  for (const op of ops) {
    writer.int(Op[op.op]).bool(false).int(-1)
    if (op.op === 'create' || op.op === 'create2') {
      writer.raw(encodeCreate(op.path, op.data ?? '', op.flags ?? 0, op.acl ?? openAcl))
    } else if (op.op === 'setData') {
      writer
        .string(op.path)
        .buffer(Buffer.from(op.data ?? ''))
        .int(op.version ?? -1)
    } else {
      writer.string(op.path).int(op.version ?? -1)
    }
  }
  return writer.int(-1).bool(true).int(-1).done()
}

export function decodeMulti(reader: JuteReader): MultiResult[] {
  const results: MultiResult[] = []
  for (;;) {
    const type = reader.int()
    const done = reader.bool()
    const headerErr = reader.int()
    if (done) return results
    if (type === -1) {
      const err = reader.int()
      if (err !== headerErr) throw new Error(`multi header says ${headerErr}, its record ${err}`)
      results.push({ type, err })
    } else if (type === Op.create) results.push({ type, err: headerErr, path: reader.string() })
    else if (type === Op.create2) results.push({ type, err: headerErr, path: reader.string(), stat: reader.stat() })
    else if (type === Op.setData) results.push({ type, err: headerErr, stat: reader.stat() })
    else results.push({ type, err: headerErr })
  }
}
