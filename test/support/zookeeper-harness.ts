// A ZooKeeper protocol server in this process, over Zelos on a log that is applied at once or when a test says so. Sockets and
// time are moved by hand, so that a test sees every step: what was written, what the system took, who was closed.

import type { Logger } from '../../src/runtime/logger.ts'
import type { Connection, ConnectionEvents, Listener, Network } from '../../src/runtime/network.ts'
import { ManualTime } from '../../src/store/manual-time.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { ZelosLimits } from '../../src/zelos/limits.ts'
import type { OptionalScheme } from '../../src/zelos/tree/acl-schemes.ts'
import { type AccessOptions, DEFAULT_ACCESS } from '../../src/zookeeper/access-options.ts'
import {
  type ClientConnected,
  type ReplyBody,
  type ReplyHeader,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readWatcherEvent,
  writeConnectRequest,
  writeRequest,
} from '../../src/zookeeper/codec/client-messages.ts'
import { JuteReader } from '../../src/zookeeper/codec/jute-reader.ts'
import { JuteWriter } from '../../src/zookeeper/codec/jute-writer.ts'
import { OP, XID } from '../../src/zookeeper/codec/opcodes.ts'
import type { Acl } from '../../src/zookeeper/codec/stat.ts'
import type { WireRequest } from '../../src/zookeeper/codec/wire-requests.ts'
import type { ClientLimits, ZooKeeperServerOptions } from '../../src/zookeeper/server-options.ts'
import { ZooKeeperServer } from '../../src/zookeeper/zookeeper-server.ts'
import { TestSocket } from './test-socket.ts'
import { ZelosHarness } from './zelos-harness.ts'

export interface HarnessOptions {
  readonly limits?: Partial<ClientLimits>
  readonly zelosLimits?: Partial<ZelosLimits>
  /** Which optional schemes access lists may name; default: digest. */
  readonly aclSchemes?: readonly OptionalScheme[]
  readonly server?: Partial<ZooKeeperServerOptions>
  readonly access?: { readonly [K in keyof AccessOptions]?: Partial<AccessOptions[K]> }
  /** What chance gives for a throttle that refuses at random. */
  readonly chance?: () => number
}

export const OPEN_ACL: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]

export class ZooKeeperHarness {
  readonly zelos: ZelosHarness
  readonly server: ZooKeeperServer
  readonly time: ManualTime
  /** What was logged: `level sentence`, and the fields. */
  readonly logged: { readonly line: string; readonly fields: object }[] = []
  listening = false
  private readonly later: (() => void)[] = []
  private accept: ((connection: Connection) => ConnectionEvents) | undefined
  private port = 40_000

  private constructor(options: HarnessOptions) {
    this.time = new ManualTime((callback) => this.later.push(callback))
    const storeTime = new ManualTime(queueMicrotask)
    const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
    const store = openMemoryStore({ runtime: { clock: storeTime, timers: storeTime, random } })
    const { limits, zelosLimits, aclSchemes } = options
    this.zelos = new ZelosHarness(store, {
      time: this.time,
      ...(zelosLimits !== undefined && { limits: zelosLimits }),
      ...(aclSchemes !== undefined && { aclSchemes }),
    })
    const chance = { uint32: options.chance ?? (() => 7), bytes: (length: number) => Buffer.alloc(length, length) }
    const runtime = { clock: this.time, timers: this.time, network: this.network(), random: chance }
    const access = Object.fromEntries(
      Object.entries(DEFAULT_ACCESS).map(([key, fallback]) => {
        const given = options.access?.[key as keyof AccessOptions]
        return [key, typeof fallback === 'object' ? { ...fallback, ...(given as object) } : (given ?? fallback)]
      }),
    ) as unknown as AccessOptions
    this.server = new ZooKeeperServer(
      runtime,
      this.zelos.zelos,
      {
        host: '127.0.0.1',
        port: 2181,
        tickMs: 2000,
        slowMs: 0,
        logger: this.logger(),
        productVersion: '1.2.3',
        dataDir: './data',
        ...(limits !== undefined && { limits }),
        ...options.server,
      },
      access,
    )
  }

  static async start(options: HarnessOptions = {}): Promise<ZooKeeperHarness> {
    const harness = new ZooKeeperHarness(options)
    await harness.server.listen()
    return harness
  }

  /** A connection that has not said anything yet. */
  socket(address = '127.0.0.1', certificate?: Uint8Array): TestSocket {
    if (this.accept === undefined) throw new Error('nobody listens')
    const socket = new TestSocket(address, this.port++, certificate)
    socket.attach(this.accept(socket))
    return socket
  }

  /** A connection with a session. */
  client(options: { timeoutMs?: number; address?: string } = {}): WireClient {
    const client = new WireClient(this, this.socket(options.address))
    client.shakeHands({ timeoutMs: options.timeoutMs ?? 10_000 })
    this.turn()
    if (client.connected === undefined || client.connected.timeoutMs === 0) throw new Error('no session')
    return client
  }

  /** Ends this turn of the event loop, and the turns that it asks for. */
  turn(): void {
    for (let callback = this.later.shift(); callback !== undefined; callback = this.later.shift()) callback()
  }

  /** The same, with everything that promises bring. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      this.turn()
    }
  }

  pass(ms: number): void {
    this.time.advance(ms)
    this.turn()
  }

  /** From now on updates wait in the log. */
  hold(): void {
    this.zelos.log.held = true
  }

  /** Applies all updates that wait, in one transaction, and ends the turn. */
  release(): void {
    this.zelos.log.held = false
    this.zelos.log.release()
    this.turn()
  }

  warnings(): string[] {
    return this.logged.map(({ line }) => line)
  }

  private network(): Network {
    return {
      listen: async (options, accept): Promise<Listener> => {
        this.accept = accept
        this.listening = true
        const close = async (): Promise<void> => {
          this.listening = false
        }
        return { host: options.host, port: options.port, close }
      },
    }
  }

  private logger(): Logger {
    const note = (level: string) => (fields: object, message: string) => {
      this.logged.push({ line: `${level} ${message}`, fields })
    }
    return { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') }
  }
}

export interface TestReply extends ReplyHeader {
  readonly body: ReplyBody
}

/** A reply, or an event, in the order in which they were on the wire. */
export type Received =
  | ({ readonly kind: 'reply' } & TestReply)
  | { readonly kind: 'event'; readonly type: number; readonly path: string; readonly zxid: number }

export class WireClient {
  readonly socket: TestSocket
  connected: ClientConnected | undefined
  private readonly harness: ZooKeeperHarness
  private readonly asked = new Map<number, WireRequest['op']>()
  private readonly frames: Buffer[] = []
  private parsed = 0
  private partial: Buffer = Buffer.alloc(0)
  private nextXid = 1

  constructor(harness: ZooKeeperHarness, socket: TestSocket) {
    this.harness = harness
    this.socket = socket
  }

  shakeHands(options: {
    timeoutMs?: number
    sessionId?: bigint
    password?: Uint8Array
    lastZxidSeen?: number
    readOnly?: boolean
  }): void {
    const writer = new JuteWriter()
    writeConnectRequest(writer, {
      lastZxidSeen: 0,
      timeoutMs: 10_000,
      sessionId: 0n,
      password: new Uint8Array(16),
      readOnly: false,
      ...options,
    })
    this.socket.send(writer.take())
    this.harness.turn()
    this.read()
  }

  /** Sends requests in one chunk; their xids. */
  send(...requests: readonly WireRequest[]): number[] {
    const writer = new JuteWriter()
    const xids = requests.map((request) => this.write(writer, request))
    this.socket.send(writer.take())
    return xids
  }

  /** A request frame of any operation with any record. */
  sendRaw(op: number, record: Uint8Array = Buffer.alloc(0)): number {
    const xid = this.nextXid++
    const frame = Buffer.alloc(12 + record.length)
    frame.writeInt32BE(8 + record.length, 0)
    frame.writeInt32BE(xid, 4)
    frame.writeInt32BE(op, 8)
    frame.set(record, 12)
    this.asked.set(xid, OP.ping)
    this.socket.send(frame)
    return xid
  }

  /** Sends one request, ends the turn, and takes its reply, which must be the only thing that came. */
  ask(request: WireRequest): TestReply {
    this.send(request)
    this.harness.turn()
    const received = this.take()
    const reply = received[0]
    if (received.length !== 1 || reply?.kind !== 'reply') throw new Error(`received ${JSON.stringify(received)}`)
    return reply
  }

  create(path: string, data: string | null = '', flags = 0, acl = OPEN_ACL): TestReply {
    return this.ask(create(path, data, flags, acl))
  }

  /** Everything that came since the last call, after the handshake. */
  take(): Received[] {
    this.read()
    return this.frames.splice(0).map((frame) => this.decode(frame))
  }

  /** The same, replies as `xid:err`, events as `type path`. */
  takeBriefly(): string[] {
    return this.take().map((one) => (one.kind === 'event' ? `${one.type} ${one.path}` : `${one.xid}:${one.err}`))
  }

  private write(writer: JuteWriter, request: WireRequest): number {
    const special = {
      [OP.ping]: XID.ping,
      [OP.auth]: XID.auth,
      [OP.setWatches]: XID.setWatches,
      [OP.setWatches2]: XID.setWatches,
    }[request.op as number]
    const xid = special ?? this.nextXid++
    this.asked.set(xid, request.op)
    writeRequest(writer, xid, request)
    return xid
  }

  private decode(frame: Buffer): Received {
    const reader = new JuteReader(1 << 28).reset(frame, 0, frame.length)
    const header = readReplyHeader(reader)
    if (header.xid === XID.notification) {
      const { type, path } = readWatcherEvent(reader)
      return { kind: 'event', type, path, zxid: header.zxid }
    }
    const op = this.asked.get(header.xid)
    if (op === undefined) throw new Error(`nobody asked for a reply with xid ${header.xid}`)
    const body = header.err === 0 ? readReplyBody(op, reader) : {}
    return { kind: 'reply', ...header, body }
  }

  private read(): void {
    const fresh = this.socket.received.slice(this.parsed)
    this.parsed = this.socket.received.length
    this.partial = Buffer.concat([this.partial, ...fresh])
    while (this.partial.length >= 4 && this.partial.length >= 4 + this.partial.readInt32BE(0)) {
      const end = 4 + this.partial.readInt32BE(0)
      const frame = this.partial.subarray(4, end)
      this.partial = this.partial.subarray(end)
      if (this.connected === undefined)
        this.connected = readConnectResponse(new JuteReader().reset(frame, 0, frame.length))
      else this.frames.push(frame)
    }
  }
}

export function create(
  path: string,
  data: string | null = '',
  flags = 0,
  acl: readonly Acl[] = OPEN_ACL,
): WireRequest & { op: typeof OP.create } {
  return { op: OP.create, path, data: data === null ? null : Buffer.from(data), acl, flags, ttlMs: 0 }
}

export function setData(path: string, data: string, version = -1): WireRequest {
  return { op: OP.setData, path, data: Buffer.from(data), version }
}

export function getData(path: string, watch = false): WireRequest {
  return { op: OP.getData, path, watch }
}
