// One connection of a simulated ZooKeeper client: frames out and in, replies matched to requests, everything put on its tape.
// Knows no reconnect; what to ask is session-client.ts'.

import { assert } from '../../../base/assert.ts'
import type { ConnectionEvents } from '../../../runtime/network.ts'
import {
  type ClientConnect,
  type ClientConnected,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readWatcherEvent,
  writeConnectRequest,
  writeRequest,
} from '../../../zookeeper/codec/client-messages.ts'
import { FrameSplitter } from '../../../zookeeper/codec/frame-splitter.ts'
import { JuteReader } from '../../../zookeeper/codec/jute-reader.ts'
import { JuteWriter } from '../../../zookeeper/codec/jute-writer.ts'
import { OP, XID } from '../../../zookeeper/codec/opcodes.ts'
import type { WireRequest } from '../../../zookeeper/codec/wire-requests.ts'
import { check } from '../../workload.ts'
import type { ConnectionTape, EventFrame, ReplyFrame, SentRequest } from './tape.ts'

const FRAME_BYTES_MAX = 64 * 1024 * 1024

/** What carries the bytes. */
export interface Stream {
  write(bytes: Uint8Array): unknown
  end(): void
  destroy(): void
  /** Gone without a word to the server, where that can be had; otherwise like `destroy`. */
  vanish(): void
}

/** How a client leaves a connection. */
export type Leaving = 'end' | 'destroy' | 'vanish'

export interface WireOwner {
  nowMs(): number
  /** Of the process of the server that answers now. */
  life(): number
  /** The greatest zxid that any client has seen. */
  floor(): number
  event(event: EventFrame): void
  reply(reply: ReplyFrame): void
}

interface Waiting {
  readonly sent: SentRequest
  readonly xid: number
  readonly answered: (reply: ReplyFrame | undefined) => void
}

/** Made for a stream that is there; hand it what the stream tells. */
export class WireConnection implements ConnectionEvents {
  readonly tape: ConnectionTape
  /** The greatest zxid on this connection, or before it. */
  seen: number
  private readonly owner: WireOwner
  private readonly splitter = new FrameSplitter(FRAME_BYTES_MAX)
  private readonly reader = new JuteReader(FRAME_BYTES_MAX)
  private readonly writer = new JuteWriter()
  private readonly waiting: Waiting[] = []
  private stream: Stream | undefined
  private shaken: ((answer: ClientConnected | undefined) => void) | undefined
  private handshaken = false
  private lost = false
  private nextXid = 1

  constructor(owner: WireOwner, seen: number) {
    this.owner = owner
    this.seen = seen
    this.tape = { life: 0, openedMs: owner.nowMs(), sent: [], received: [] }
  }

  get isOpen(): boolean {
    return !this.lost
  }

  /** When the oldest request without a reply was sent. */
  get waitingSinceMs(): number | undefined {
    return this.waiting[0]?.sent.sentMs
  }

  /** Shakes hands; undefined if the server closes instead. */
  connect(stream: Stream, connect: ClientConnect): Promise<ClientConnected | undefined> {
    if (this.lost) return Promise.resolve(undefined)
    this.stream = stream
    writeConnectRequest(this.writer, connect)
    stream.write(this.writer.take())
    return new Promise((resolve) => {
      this.shaken = resolve
    })
  }

  /** Sends requests in one write; resolves with the reply to each, undefined for those that were lost. */
  send(...requests: readonly WireRequest[]): Promise<ReplyFrame | undefined>[] {
    const { owner, seen } = this
    if (this.lost) return requests.map(() => Promise.resolve(undefined))
    const replies = requests.map((request) => {
      const xid = this.xidOf(request)
      const sent: SentRequest = { request, sentMs: owner.nowMs(), seen, floor: owner.floor(), reply: undefined }
      this.tape.sent.push(sent)
      writeRequest(this.writer, xid, request)
      return new Promise<ReplyFrame | undefined>((answered) => this.waiting.push({ sent, xid, answered }))
    })
    this.stream?.write(this.writer.take())
    return replies
  }

  /** The client's own end of it. */
  leave(how: Leaving): void {
    if (this.lost) return
    this.stream?.[how]()
    this.closed()
  }

  data(chunk: Buffer): void {
    if (this.lost) return
    const outcome = this.splitter.push(chunk, (source, start, end) => {
      const frame = this.reader.reset(source, start, end)
      if (this.handshaken) this.frame(frame)
      else {
        this.handshaken = true
        this.tape.life = this.owner.life()
        this.shaken?.(readConnectResponse(frame))
      }
      return true
    })
    check(outcome.kind === 'drained', `the server sent a frame of length ${'length' in outcome && outcome.length}`)
  }

  drain(): void {
    // What it sends is little.
  }

  closed(): void {
    if (this.lost) return
    this.lost = true
    this.shaken?.(undefined)
    for (const { answered } of this.waiting.splice(0)) answered(undefined)
  }

  private xidOf({ op }: WireRequest): number {
    if (op === OP.ping) return XID.ping
    return op === OP.setWatches || op === OP.setWatches2 ? XID.setWatches : this.nextXid++
  }

  private frame(frame: JuteReader): void {
    const { owner, tape } = this
    const { xid, zxid, err } = readReplyHeader(frame)
    if (zxid > this.seen) this.seen = zxid
    if (xid === XID.notification) {
      const { type, path } = readWatcherEvent(frame)
      const event: EventFrame = { kind: 'event', type, path, zxid }
      tape.received.push(event)
      return owner.event(event)
    }
    const first = this.waiting.shift()
    check(first !== undefined, `a reply with xid ${xid} that nobody waits for`)
    const { answered, sent } = first
    check(first.xid === xid, `replies out of order: xid ${xid} instead of ${first.xid}`)
    const { request } = sent
    const body = err === 0 ? readReplyBody(request.op, frame) : {}
    assert(err !== 0 || frame.remaining === 0, `${frame.remaining} bytes behind the reply to ${request.op}`)
    const reply: ReplyFrame = { kind: 'reply', to: sent, zxid, err, body }
    sent.reply = reply
    tape.received.push(reply)
    owner.reply(reply)
    answered(reply)
  }
}
