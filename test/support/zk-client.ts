// A small ZooKeeper client for the tests: handshake, pipelined requests, watch events, every operation the tests need.
// It reports what the server sent and hides nothing: no reconnect, no retry, error codes as numbers.

import { FrameConnection } from './frame-connection.ts'
import { type Acl, JuteReader, JuteWriter, type Stat } from './jute.ts'
import { within } from './wait.ts'
import { bytes, decodeMulti, encodeCreate, encodeMulti, type MultiOp, type MultiResult } from './zk-bodies.ts'
import { Op, openAcl } from './zk-protocol.ts'

const XID_EVENT = -1
const XID_PING = -2
const XID_AUTH = -4
const XID_SET_WATCHES = -8

export interface Reply<T> {
  readonly xid: number
  readonly zxid: bigint
  readonly err: number
  /** Position among all frames of this connection: an event with a smaller `seq` was on the wire before this reply. */
  readonly seq: number
  /** The decoded record; undefined if `err` is not 0. */
  readonly value: T | undefined
}

export interface WatchEvent {
  readonly type: number
  readonly state: number
  readonly path: string
  readonly zxid: bigint
  readonly seq: number
}

export interface Session {
  readonly id: bigint
  readonly password: Buffer
  /** Negotiated; 0 if the server does not know the session (any more) or the password is wrong. */
  readonly timeoutMs: number
}

export interface ConnectOptions {
  readonly timeoutMs?: number
  readonly session?: { readonly id: bigint; readonly password: Uint8Array }
  readonly lastZxidSeen?: bigint
  /** 'omit' sends the request of clients before 3.4, which has no readOnly byte. Default false. */
  readonly readOnly?: boolean | 'omit'
  /** Ping at a third of the negotiated timeout. Default true. */
  readonly keepAlive?: boolean
}

interface Pending {
  readonly xid: number
  readonly decode: (reader: JuteReader) => unknown
  readonly resolve: (reply: Reply<never>) => void
  readonly reject: (error: Error) => void
}

export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'
}

export function encodeConnectRequest(options: ConnectOptions = {}): Buffer {
  const writer = new JuteWriter()
    .int(0)
    .long(options.lastZxidSeen ?? 0n)
    .int(options.timeoutMs ?? 10_000)
    .long(options.session?.id ?? 0n)
    .buffer(options.session?.password ?? Buffer.alloc(16))
  const readOnly = options.readOnly ?? false
  return readOnly === 'omit' ? writer.done() : writer.bool(readOnly).done()
}

const nothing = (): undefined => undefined

export class ZkClient {
  readonly session: Session
  /** Whether the handshake's reply had a readOnly byte, and its value. */
  readonly readOnly: boolean | undefined
  readonly events: WatchEvent[] = []
  /** The greatest zxid of any reply so far. */
  lastZxid = 0n
  /** Called for each event, after it was put into `events`. */
  onEvent: ((event: WatchEvent) => void) | undefined
  private readonly connection: FrameConnection
  private readonly pending: Pending[] = []
  private readonly pingTimer: NodeJS.Timeout | undefined
  private nextXid = 1
  private seq = 0
  private eventSignal: (() => void) | undefined

  private constructor(
    connection: FrameConnection,
    session: Session,
    readOnly: boolean | undefined,
    keepAlive: boolean,
  ) {
    this.connection = connection
    this.session = session
    this.readOnly = readOnly
    connection.onFrame = (frame) => this.receive(frame)
    if (keepAlive && session.timeoutMs > 0) {
      this.pingTimer = setInterval(() => void this.ping().catch(nothing), session.timeoutMs / 3)
    }
    void connection.closed.then(() => {
      clearInterval(this.pingTimer)
      const error = new ConnectionClosed('the server closed the connection')
      for (const waiting of this.pending.splice(0)) waiting.reject(error)
    })
  }

  /** Connects and shakes hands; throws ConnectionClosed if the server closes without an answer. */
  static async connect(port: number, options: ConnectOptions = {}): Promise<ZkClient> {
    return ZkClient.over(await FrameConnection.open(port), options)
  }

  /** The same over a connection that is there already. */
  static async over(connection: FrameConnection, options: ConnectOptions = {}): Promise<ZkClient> {
    connection.writeFrame(encodeConnectRequest(options))
    const frame = await connection.nextFrame()
    if (frame === undefined) throw new ConnectionClosed('the server closed the connection instead of a handshake')
    const reader = new JuteReader(frame)
    const protocolVersion = reader.int()
    if (protocolVersion !== 0) throw new Error(`protocol version ${protocolVersion}`)
    const timeoutMs = reader.int()
    const id = reader.long()
    const password = Buffer.from(reader.buffer() ?? [])
    const readOnly = reader.remaining > 0 ? reader.bool() : undefined
    return new ZkClient(connection, { id, password, timeoutMs }, readOnly, options.keepAlive ?? true)
  }

  get closed(): Promise<void> {
    return this.connection.closed
  }

  get isClosed(): boolean {
    return this.connection.isClosed
  }

  create(
    path: string,
    data: string | Uint8Array | null = '',
    flags = 0,
    acl: readonly Acl[] = openAcl,
  ): Promise<Reply<string>> {
    return this.request(Op.create, encodeCreate(path, data, flags, acl), (reader) => reader.string())
  }

  create2(
    path: string,
    data: string | Uint8Array | null = '',
    flags = 0,
    acl: readonly Acl[] = openAcl,
  ): Promise<Reply<{ path: string; stat: Stat }>> {
    return this.request(Op.create2, encodeCreate(path, data, flags, acl), (reader) => ({
      path: reader.string(),
      stat: reader.stat(),
    }))
  }

  delete(path: string, version = -1): Promise<Reply<undefined>> {
    return this.request(Op.delete, new JuteWriter().string(path).int(version).done(), nothing)
  }

  exists(path: string, watch = false): Promise<Reply<Stat>> {
    return this.request(Op.exists, new JuteWriter().string(path).bool(watch).done(), (reader) => reader.stat())
  }

  getData(path: string, watch = false): Promise<Reply<{ data: Buffer | null; stat: Stat }>> {
    return this.request(Op.getData, new JuteWriter().string(path).bool(watch).done(), (reader) => ({
      data: reader.buffer(),
      stat: reader.stat(),
    }))
  }

  setData(path: string, data: string | Uint8Array | null, version = -1): Promise<Reply<Stat>> {
    const body = new JuteWriter().string(path).buffer(bytes(data)).int(version).done()
    return this.request(Op.setData, body, (reader) => reader.stat())
  }

  /** Sorted: the protocol promises no order. */
  getChildren(path: string, watch = false): Promise<Reply<string[]>> {
    return this.request(Op.getChildren, new JuteWriter().string(path).bool(watch).done(), (reader) =>
      reader.strings().sort(),
    )
  }

  getChildren2(path: string, watch = false): Promise<Reply<{ children: string[]; stat: Stat }>> {
    const body = new JuteWriter().string(path).bool(watch).done()
    return this.request(Op.getChildren2, body, (reader) => ({ children: reader.strings().sort(), stat: reader.stat() }))
  }

  getAcl(path: string): Promise<Reply<{ acl: Acl[]; stat: Stat }>> {
    return this.request(Op.getAcl, new JuteWriter().string(path).done(), (reader) => ({
      acl: reader.acls(),
      stat: reader.stat(),
    }))
  }

  setAcl(path: string, acl: readonly Acl[], version = -1): Promise<Reply<Stat>> {
    return this.request(Op.setAcl, new JuteWriter().string(path).acls(acl).int(version).done(), (reader) =>
      reader.stat(),
    )
  }

  sync(path: string): Promise<Reply<string>> {
    return this.request(Op.sync, new JuteWriter().string(path).done(), (reader) => reader.string())
  }

  multi(ops: readonly MultiOp[]): Promise<Reply<MultiResult[]>> {
    return this.request(Op.multi, encodeMulti(ops), decodeMulti)
  }

  ping(): Promise<Reply<undefined>> {
    return this.request(Op.ping, Buffer.alloc(0), nothing, XID_PING)
  }

  auth(scheme: string, auth: string): Promise<Reply<undefined>> {
    return this.request(
      Op.auth,
      new JuteWriter().int(0).string(scheme).buffer(Buffer.from(auth)).done(),
      nothing,
      XID_AUTH,
    )
  }

  setWatches(
    relativeZxid: bigint,
    watches: { data?: string[]; exist?: string[]; child?: string[] },
  ): Promise<Reply<undefined>> {
    const body = new JuteWriter()
      .long(relativeZxid)
      .strings(watches.data ?? [])
      .strings(watches.exist ?? [])
      .strings(watches.child ?? [])
    return this.request(Op.setWatches, body.done(), nothing, XID_SET_WATCHES)
  }

  setWatches2(
    relativeZxid: bigint,
    watches: { data?: string[]; exist?: string[]; child?: string[]; persistent?: string[]; recursive?: string[] },
  ): Promise<Reply<undefined>> {
    const { data = [], exist = [], child = [], persistent = [], recursive = [] } = watches
    const body = new JuteWriter().long(relativeZxid)
    for (const paths of [data, exist, child, persistent, recursive]) body.strings(paths)
    return this.request(Op.setWatches2, body.done(), nothing, XID_SET_WATCHES)
  }

  /** The body of the reply, an error code. */
  addWatch(path: string, mode: number): Promise<Reply<number>> {
    return this.request(Op.addWatch, new JuteWriter().string(path).int(mode).done(), (reader) => reader.int())
  }

  checkWatches(path: string, type: number): Promise<Reply<undefined>> {
    return this.request(Op.checkWatches, new JuteWriter().string(path).int(type).done(), nothing)
  }

  removeWatches(path: string, type: number): Promise<Reply<undefined>> {
    return this.request(Op.removeWatches, new JuteWriter().string(path).int(type).done(), nothing)
  }

  /** Any request at all; `body` is what follows the request header. */
  request<T>(op: number, body: Uint8Array, decode: (reader: JuteReader) => T, specialXid?: number): Promise<Reply<T>> {
    const xid = specialXid ?? this.nextXid++
    const reply = new Promise<Reply<T>>((resolve, reject) => {
      if (this.isClosed) reject(new ConnectionClosed('the connection is closed'))
      else this.pending.push({ xid, decode, resolve: resolve as Pending['resolve'], reject })
    })
    this.connection.writeFrame(new JuteWriter().int(xid).int(op).raw(body).done())
    return within(reply, 30_000, `reply to operation ${op}`)
  }

  /** Bytes that are no request, behind the others. */
  writeRaw(bytes: Uint8Array): void {
    this.connection.write(bytes)
  }

  /** The next event not yet taken from `events`. */
  async nextEvent(deadlineMs = 10_000): Promise<WatchEvent> {
    if (this.events.length === 0) {
      const arrived = new Promise<void>((resolve) => {
        this.eventSignal = resolve
      })
      await within(arrived, deadlineMs, 'watch event')
    }
    return this.events.shift() as WatchEvent
  }

  /** Ends the session: closeSession, its reply, and the server's close. */
  async close(): Promise<void> {
    if (this.isClosed) return
    try {
      await this.request(Op.closeSession, Buffer.alloc(0), nothing)
      await within(this.closed, 10_000, 'close by the server after closeSession')
    } finally {
      this.drop()
    }
  }

  /** Cuts the connection and leaves the session to its timeout. */
  drop(): void {
    clearInterval(this.pingTimer)
    this.connection.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop()
    await this.closed
  }

  private receive(frame: Buffer): void {
    const reader = new JuteReader(frame)
    const xid = reader.int()
    const zxid = reader.long()
    const err = reader.int()
    const seq = this.seq++
    if (xid === XID_EVENT) {
      const event = { type: reader.int(), state: reader.int(), path: reader.string(), zxid, seq }
      this.events.push(event)
      this.onEvent?.(event)
      this.eventSignal?.()
      this.eventSignal = undefined
      return
    }
    if (zxid > this.lastZxid) this.lastZxid = zxid
    const waiting = this.take(xid)
    try {
      const value = err === 0 ? (waiting.decode(reader) as never) : undefined
      if (reader.remaining > 0) throw new Error(`${reader.remaining} bytes too many in the reply to xid ${xid}`)
      waiting.resolve({ xid, zxid, err, seq, value })
    } catch (error) {
      waiting.reject(error as Error)
    }
  }

  // Replies come in the order of the requests. A real ZooKeeper answers auth out of turn, so special xids are matched alone.
  private take(xid: number): Pending {
    const index = this.pending.findIndex((waiting) => (xid < 0 ? waiting.xid === xid : waiting.xid >= 0))
    const waiting = this.pending[index]
    if (waiting === undefined) throw new Error(`reply with xid ${xid} that nobody asked for`)
    if (waiting.xid !== xid) throw new Error(`reply with xid ${xid} out of order, expected ${waiting.xid}`)
    this.pending.splice(index, 1)
    return waiting
  }
}

/** The record of a reply that must have succeeded. */
export function succeeded<T>(reply: Reply<T>): T {
  if (reply.err !== 0) throw new Error(`error ${reply.err} in the reply to xid ${reply.xid}`)
  return reply.value as T
}
