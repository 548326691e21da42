// When a connection reads, answers and hands updates to the log, condition by condition, without a connection.

import { describe, expect, it } from 'vitest'
import type { Requester } from '../zelos/requests.ts'
import type { SessionId } from '../zelos/znode.ts'
import { AnswerTurns } from './answer-turns.ts'
import { OP } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'
import { FlowControl, type FlowParts } from './flow-control.ts'
import { PendingRequest, type RequestOwner } from './pending-request.ts'
import { RequestQueue } from './request-queue.ts'
import { DEFAULT_CLIENT_LIMITS } from './server-options.ts'
import { ServerStats } from './server-stats.ts'

const OWNER: RequestOwner = { requestSettled: () => undefined }
const REQUESTER: Requester = { session: 1 as SessionId, ownerEpoch: 0, address: '127.0.0.1', identities: [] }
const DELETE: WireRequest = { op: OP.delete, path: '/a', version: -1 }
const SYNC: WireRequest = { op: OP.sync, path: '/a' }
const PLAIN_READ: WireRequest = { op: OP.getAcl, path: '/a' }
const WATCHING_READ: WireRequest = { op: OP.getData, path: '/a', watch: true }

class Flow {
  nowMs = 1_000
  readonly outgoing = { congested: false }
  readonly throttle = { isWaiting: false }
  /** The next turn, once something waits for it. */
  nextTurn: (() => void) | undefined
  readonly turns = new AnswerTurns(
    (action) => {
      this.nextTurn = action
    },
    () => this.nowMs,
  )
  wentOn = 0
  readonly socket: string[] = []
  readonly queue = new RequestQueue(-1)
  readonly stats = new ServerStats()
  readonly control: FlowControl
  /** Of another connection at the same server. */
  readonly another: () => FlowControl

  constructor() {
    const { outgoing, queue, stats, throttle } = this
    const limits = { ...DEFAULT_CLIENT_LIMITS, outstandingMax: 10, outstandingBytesMax: 1_000 }
    const server: FlowParts['server'] = {
      limits,
      stats,
      nowMs: () => this.nowMs,
      turns: this.turns,
    }
    const connection = { pause: () => this.socket.push('pause'), resume: () => this.socket.push('resume') }
    const goOn = () => void this.wentOn++
    this.another = () => new FlowControl({ server, connection, queue, outgoing, throttle, goOn })
    this.control = this.another()
    this.control.arrived()
  }

  request(request: WireRequest, { bytes = 10, costUs = 0 } = {}): PendingRequest {
    const inTurn = request !== DELETE && request !== SYNC
    const pending = new PendingRequest(OWNER, 1, request, 0, bytes, inTurn)
    pending.costUs = costUs
    if (!inTurn && !this.control.mayLog) pending.held = REQUESTER
    this.queue.push(pending)
    return pending
  }
}

describe('the next request', () => {
  it('is not read while many are outstanding, until half of them are answered', () => {
    const flow = new Flow()
    for (let i = 0; i < 9; i++) flow.request(DELETE)
    expect(flow.control.mayReadNext()).toBe(true)
    flow.request(DELETE)
    expect([flow.control.mayReadNext(), flow.stats.limitsHit.outstandingMax]).toEqual([false, 1])
    flow.control.pause()
    flow.control.pause()
    for (let left = 10; left > 6; left--) flow.queue.shift()
    expect(flow.control.mayReadAgain()).toBe(false)
    flow.queue.shift()
    expect(flow.control.mayReadAgain()).toBe(true)
    flow.control.resume()
    expect(flow.socket).toEqual(['pause', 'resume'])
    expect(flow.control.mayReadAgain()).toBe(false)
  })

  it('the same by their bytes', () => {
    const flow = new Flow()
    flow.request(DELETE, { bytes: 400 })
    flow.request(DELETE, { bytes: 600 })
    expect([flow.control.mayReadNext(), flow.stats.limitsHit.outstandingBytesMax]).toEqual([false, 1])
    flow.control.pause()
    flow.queue.shift()
    expect(flow.control.mayReadAgain()).toBe(false)
    flow.queue.shift()
    expect(flow.control.mayReadAgain()).toBe(true)
  })

  it('waits for the client, for the throttle, for another turn, and is never read once it finishes', () => {
    const flow = new Flow()
    flow.outgoing.congested = true
    expect(flow.control.mayReadNext()).toBe(false)
    flow.control.pause()
    expect(flow.control.mayReadAgain()).toBe(false)
    flow.outgoing.congested = false
    flow.throttle.isWaiting = true
    expect([flow.control.mayReadNext(), flow.control.mayReadAgain()]).toEqual([false, false])
    flow.throttle.isWaiting = false
    expect(flow.control.mayReadAgain()).toBe(true)

    flow.control.replied(1_010)
    expect(flow.control.mayReadNext()).toBe(true)
    flow.control.replied(1_011)
    expect(flow.control.mayReadNext()).toBe(false)
    flow.control.pause()
    flow.nowMs = 1_012
    flow.nextTurn?.()
    expect(flow.wentOn).toBe(1)
    expect([flow.control.mayReadAgain(), flow.control.readMs, flow.control.mayReadNext()]).toEqual([true, 1_012, true])

    flow.control.finish()
    expect(flow.control.mayReadAgain()).toBe(false)
    flow.control.resume()
    expect(flow.socket.at(-1)).toBe('pause')
  })
})

describe('the oldest request', () => {
  it('is answered for ten milliseconds a turn; updates are in any', () => {
    const flow = new Flow()
    const { control } = flow
    const [read] = [flow.request(PLAIN_READ), flow.request(PLAIN_READ)]
    const update = new PendingRequest(OWNER, 1, DELETE, 0, 10, false)
    expect([control.beginAnswers(), control.beginAnswers()]).toEqual([true, false])
    // The first answer may have taken long.
    control.replied(5_000)
    control.replied(5_010)
    expect(control.mayAnswer(read)).toBe(true)
    control.replied(5_011)
    expect([control.mayAnswer(read), control.mayAnswer(update)]).toEqual([false, true])
    control.endAnswers()
    // The turn is over for all.
    const other = flow.another()
    other.beginAnswers()
    expect([other.mayAnswer(read), other.mayAnswer(update), flow.wentOn]).toEqual([false, true, 0])
    other.endAnswers()
    flow.nextTurn?.()
    expect(flow.wentOn).toBe(2)
    control.beginAnswers()
    expect(control.mayAnswer(read)).toBe(true)
  })

  it('waits for its client, unless an update behind it is in the log', () => {
    const flow = new Flow()
    flow.outgoing.congested = true
    const read = flow.request(PLAIN_READ)
    read.settled = false
    expect(flow.control.mayAnswer(read)).toBe(false)
    flow.request(DELETE)
    expect(flow.control.mayAnswer(read)).toBe(true)
  })
})

describe('an update', () => {
  it('is held behind reads that watch, that stand behind a sync, that only wait for a turn, or that take long', () => {
    const mayLogBehind = (act: (flow: Flow) => void): boolean => {
      const flow = new Flow()
      act(flow)
      return flow.control.mayLog
    }
    expect(mayLogBehind(() => undefined)).toBe(true)
    expect(mayLogBehind((flow) => flow.request(SYNC))).toBe(true)
    const behind = (first: WireRequest, read: WireRequest, costUs = 0): boolean =>
      mayLogBehind((flow) => {
        flow.request(first)
        flow.request(read, { costUs })
      })
    expect(behind(DELETE, PLAIN_READ)).toBe(true)
    expect(behind(DELETE, WATCHING_READ)).toBe(false)
    expect(behind(SYNC, PLAIN_READ)).toBe(false)
    expect(behind(DELETE, PLAIN_READ, 2_500)).toBe(true)
    expect(behind(DELETE, PLAIN_READ, 2_501)).toBe(false)
    expect(mayLogBehind((flow) => flow.request(PLAIN_READ))).toBe(false)
  })

  it('that was long makes reads look long until it is answered, though the queue is never empty', () => {
    const flow = new Flow()
    const { queue } = flow
    flow.request(DELETE, { bytes: 1_000_000 })
    flow.request(DELETE)
    expect(queue.dataBytes).toBe(1_000_000)
    queue.shift()
    expect(queue.dataBytes).toBe(10)
  })

  it('that arrives while one before it is held goes into the log behind it', () => {
    const flow = new Flow()
    const { control, queue } = flow
    flow.request(WATCHING_READ)
    const [first] = [flow.request(DELETE), flow.request(PLAIN_READ)]
    const second = flow.request(DELETE)
    const released: PendingRequest[] = []
    const release = (pending: PendingRequest): void => {
      pending.held = undefined
      released.push(pending)
    }

    queue.shift()
    queue.forEachReleasable(release)
    expect(released).toEqual([first])
    const third = flow.request(DELETE)
    expect(third.held).toBe(REQUESTER)

    queue.shift()
    queue.shift()
    queue.forEachReleasable(release)
    expect(released).toEqual([first, second, third])
    expect(control.mayLog).toBe(true)
  })
})
