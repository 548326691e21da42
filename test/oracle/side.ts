// One of the two servers: its connections, and what each step made them see. Deliberately without judgement (compare.ts).

import { ERR } from '../../src/zookeeper/codec/error-codes.ts'
import { FrameConnection } from '../support/frame-connection.ts'
import { JuteReader } from '../support/jute.ts'
import { delay, within } from '../support/wait.ts'
import { encodeConnectRequest } from '../support/zk-client.ts'
import { OPCODES, type Request, type Step, type ZxidOf } from './steps.ts'
import { decodeReply, encodeRequest, type Fields } from './wire.ts'

/** Something that a connection saw. */
export type Seen =
  | { readonly kind: 'session'; readonly fields: Fields }
  | {
      readonly kind: 'reply'
      readonly request: Request
      readonly xid: number
      readonly zxid: bigint
      readonly err: number
      readonly fields: Fields
    }
  | {
      readonly kind: 'event'
      readonly type: number
      readonly state: number
      readonly path: string
      readonly zxid: bigint
    }
  | { readonly kind: 'closed' }
  /** A request that nothing came for. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'undecodable'; readonly hex: string }

export type SeenBySlot = ReadonlyMap<number, readonly Seen[]>

const XID_EVENT = -1
const BARRIER: Request = { op: 'ping' }
const SILENCE_MS = 8_000
const EXPIRY_MS = 15_000
const PASSWORD_BYTES = 16

interface Pending {
  readonly request: Request
  readonly isBarrier: boolean
}

/** A session and the connection that it has at the moment. */
class Slot {
  connection: FrameConnection | undefined
  id = 0n
  password: Buffer = Buffer.alloc(PASSWORD_BYTES)
  /** The greatest zxid that a reply told. */
  seenZxid = 0n
  nextXid = 1
  seen: Seen[] = []
  pending: Pending[] = []
  private settled: (() => void) | undefined

  get isOpen(): boolean {
    return this.connection !== undefined && !this.connection.isClosed
  }

  attach(connection: FrameConnection): void {
    this.connection = connection
    this.pending = []
    this.nextXid = 1
    connection.onFrame = (frame) => {
      if (this.connection === connection) this.receive(frame)
    }
    void connection.closed.then(() => {
      if (this.connection === connection) this.ended()
    })
  }

  detach(): void {
    const { connection } = this
    this.connection = undefined
    this.pending = []
    connection?.destroy()
  }

  /** Resolves when nothing is pending any more: answered or closed. */
  async answered(): Promise<void> {
    if (this.pending.length === 0 || !this.isOpen) return
    const settled = new Promise<void>((resolve) => {
      this.settled = resolve
    })
    try {
      await within(settled, SILENCE_MS, 'reply')
    } catch {
      this.seen.push({ kind: 'silence' })
      this.detach()
    }
  }

  private ended(): void {
    this.connection = undefined
    this.pending = []
    this.seen.push({ kind: 'closed' })
    this.settled?.()
  }

  /** What ZooKeeper answers has no header. */
  private secondHandshake(request: Request): void {
    this.seen.push({ kind: 'reply', request, xid: 0, zxid: 0n, err: 0, fields: {} })
  }

  private receive(frame: Buffer): void {
    try {
      this.read(new JuteReader(frame))
    } catch {
      this.seen.push({ kind: 'undecodable', hex: frame.toString('hex') })
      this.settled?.()
    }
    if (this.pending.length === 0) this.settled?.()
  }

  private read(reader: JuteReader): void {
    const [xid, zxid, err] = [reader.int(), reader.long(), reader.int()]
    if (xid === XID_EVENT) {
      this.seen.push({ kind: 'event', type: reader.int(), state: reader.int(), path: reader.string(), zxid })
      return
    }
    const pending = this.pending.shift()
    if (pending === undefined) throw new Error('a reply that nobody asked for')
    if (pending.request.op === 'createSession' && err !== ERR.unimplemented)
      return this.secondHandshake(pending.request)
    if (zxid > this.seenZxid) this.seenZxid = zxid
    if (pending.isBarrier && err === 0) return
    const { request } = pending
    const isRead = err === 0 && (request.opcode ?? OPCODES[request.op]) === OPCODES[request.op]
    const fields = isRead ? decodeReply(request.op, reader) : {}
    this.seen.push({ kind: 'reply', request, xid, zxid, err, fields: { ...fields, bytesLeft: reader.remaining } })
  }
}

export class Side {
  readonly name: string
  /** The path of the round. */
  root = ''
  /** Every connection is pinged after a step. Without, those that were refused for want of a proof are waited for. */
  hasBarriers = true
  private readonly port: number
  private readonly slots = new Map<number, Slot>()

  constructor(name: string, port: number) {
    this.name = name
    this.port = port
  }

  /** Does the step and returns what each connection has seen since the last one. */
  async run(step: Step): Promise<SeenBySlot> {
    switch (step.do) {
      case 'open':
        this.slot(step.slot).detach()
        this.slots.set(step.slot, new Slot())
        await this.shakeHands(this.slot(step.slot), { timeoutMs: step.timeoutMs, readOnly: step.readOnly })
        break
      case 'reopen':
        await this.reopen(this.slot(step.slot), step.seen, step.wrongPassword)
        break
      case 'cut':
        this.slot(step.slot).detach()
        break
      case 'ask':
        await this.ask(this.slot(step.slot), step.requests)
        break
      case 'burst':
        await Promise.all(step.asks.map(({ slot, requests }) => this.ask(this.slot(slot), requests)))
        break
      case 'bytes': {
        const slot = this.slot(step.slot)
        slot.connection?.write(Buffer.from(step.hex, 'hex'))
        break
      }
      case 'expire':
        for (const number of step.slots) this.slot(number).detach()
        for (const node of step.nodes) await this.untilGone(this.slot(step.observer), node)
    }
    if (this.hasBarriers) await this.barrier()
    return this.take()
  }

  close(): void {
    for (const slot of this.slots.values()) slot.detach()
    this.slots.clear()
  }

  private slot(number: number): Slot {
    let slot = this.slots.get(number)
    if (slot === undefined) {
      slot = new Slot()
      this.slots.set(number, slot)
    }
    return slot
  }

  private async reopen(slot: Slot, seen: 'zero' | 'cut' | 'future', wrongPassword: boolean): Promise<void> {
    const password = Buffer.from(slot.password)
    if (wrongPassword) password[0] = (password[0] as number) ^ 0xff
    const lastZxidSeen = seen === 'zero' ? 0n : seen === 'cut' ? slot.seenZxid : 1n << 60n
    const old = slot.connection
    slot.connection = undefined
    await this.shakeHands(slot, { session: { id: slot.id, password }, lastZxidSeen, timeoutMs: 30_000 })
    // The server closes the old connection; whether it did is not looked at, since it may take its time.
    old?.destroy()
  }

  private async shakeHands(slot: Slot, options: Parameters<typeof encodeConnectRequest>[0]): Promise<void> {
    const connection = await FrameConnection.open(this.port)
    connection.writeFrame(encodeConnectRequest(options))
    const frame = await connection.nextFrame(SILENCE_MS)
    if (frame === undefined) {
      slot.seen.push({ kind: 'closed' })
      return
    }
    const reader = new JuteReader(frame)
    const [protocolVersion, timeoutMs, sessionId] = [reader.int(), reader.int(), reader.long()]
    const password = Buffer.from(reader.buffer() ?? [])
    const readOnly = reader.remaining > 0 ? reader.bool() : undefined
    const isZero = password.every((byte) => byte === 0)
    const fields = {
      protocolVersion,
      timeoutMs,
      sessionId,
      passwordBytes: password.length,
      isZero,
      readOnly,
      bytesLeft: reader.remaining,
    }
    slot.seen.push({ kind: 'session', fields })
    slot.attach(connection)
    if (timeoutMs > 0) {
      slot.id = sessionId
      slot.password = password
    } else {
      await within(connection.closed, SILENCE_MS, 'close after a refused session')
    }
  }

  private async ask(slot: Slot, requests: readonly Request[]): Promise<void> {
    const { connection } = slot
    if (connection === undefined) return
    const zxid = (of: ZxidOf): bigint => (of === 'zero' ? 0n : of === 'cut' ? slot.seenZxid : this.lastZxid())
    for (const request of requests) slot.pending.push({ request, isBarrier: false })
    for (const request of requests) {
      connection.writeFrame(encodeRequest(request, slot.nextXid++, { root: this.root, zxid }))
    }
    await slot.answered()
    // Which may come after the answer to the next request.
    const last = slot.seen.findLast((seen) => seen.kind === 'reply')
    const isRefused = last?.kind === 'reply' && last.err === ERR.sessionClosedRequireSaslAuth
    if (isRefused || requests.some(({ opcode }) => opcode !== undefined))
      await within(connection.closed, SILENCE_MS, 'close')
  }

  /** Pings every connection: what a server had to tell them before is there when it has answered. */
  private async barrier(): Promise<void> {
    const open = [...this.slots.values()].filter((slot) => slot.isOpen)
    for (const slot of open) {
      slot.pending.push({ request: BARRIER, isBarrier: true })
      slot.connection?.writeFrame(encodeRequest(BARRIER, 0, { root: '', zxid: () => 0n }))
    }
    await Promise.all(open.map((slot) => slot.answered()))
  }

  private async untilGone(observer: Slot, node: string): Promise<void> {
    const deadline = performance.now() + EXPIRY_MS
    const isThere = async (): Promise<boolean> => {
      const { nextXid } = observer
      await this.ask(observer, [{ op: 'exists', path: node, watch: false }])
      observer.nextXid = nextXid
      const last = observer.seen.findLastIndex((seen) => seen.kind === 'reply')
      const [reply] = observer.seen.splice(last, 1)
      return reply?.kind === 'reply' && reply.err === 0
    }
    while (await isThere()) {
      if (performance.now() > deadline) {
        observer.seen.push({ kind: 'silence' })
        return
      }
      await delay(20)
      await this.barrier()
    }
  }

  private lastZxid(): bigint {
    let last = 0n
    for (const { seenZxid } of this.slots.values()) if (seenZxid > last) last = seenZxid
    return last
  }

  private take(): SeenBySlot {
    const taken = new Map<number, readonly Seen[]>()
    for (const [number, slot] of this.slots) {
      if (slot.seen.length > 0) taken.set(number, slot.seen)
      slot.seen = []
    }
    return taken
  }
}
