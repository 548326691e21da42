// Every connection was told exactly the events that its watches were to hear, in order, each before any reply that shows its
// change: none lost, none doubled.

import { EVENT_TYPE } from '../../../zookeeper/codec/watch-codes.ts'
import type { SetWatchesRequest } from '../../../zookeeper/codec/wire-requests.ts'
import { check } from '../../workload.ts'
import type { ConnectionTape, EventFrame, Frame, ReplyFrame } from './tape.ts'
import type { TreeHistory } from './tree-history.ts'
import { type Replay, replayOf, type Told, WatchModel } from './watch-model.ts'

const NAMES = new Map(Object.entries(EVENT_TYPE).map(([name, type]) => [type as number, name]))

export interface WatchVerdict {
  /** Events that were judged. */
  events: number
  /** Connections that came back with watches that stay. */
  replays: number
}

/** Throws CheckFailure. Whoever comes back is to hear every change: there are fewer than servers keep, over restarts too. */
export function checkWatches(
  history: TreeHistory,
  tape: ConnectionTape,
  verdict: WatchVerdict = { events: 0, replays: 0 },
): WatchVerdict {
  const model = new WatchModel()
  const { received } = tape
  const setAgain = tape.sent.find(({ request }) => 'relativeZxid' in request)
  let frames: readonly Frame[] = received
  let from = 0
  if (setAgain !== undefined) {
    const { reply } = setAgain
    // The connection was lost in the middle.
    if (reply === undefined) return verdict
    const at = received.indexOf(reply)
    checkReplay(history, received.slice(0, at), reply, model, verdict)
    frames = received.slice(at + 1)
    from = reply.zxid
  }
  const expected = new Expected(history, model, from)
  for (const frame of frames) {
    if (frame.kind === 'event') {
      expected.take(frame)
      verdict.events++
    } else if (frame.zxid > 0) {
      expected.allUpTo(frame)
      model.answered(frame)
    }
  }
  return verdict
}

/** What is to come on one connection. */
class Expected {
  private readonly history: TreeHistory
  private readonly model: WatchModel
  /** Changes up to here have fired, or came before there was a watch. */
  private at: number
  /** Those of the zxid `at` that have not come yet. */
  private due: Told[] = []

  constructor(history: TreeHistory, model: WatchModel, from: number) {
    this.history = history
    this.model = model
    this.at = from
  }

  /** A reply shows everything up to its zxid. */
  allUpTo({ to, zxid }: ReplyFrame): void {
    if (this.model.isEmpty && this.due.length === 0) {
      this.at = Math.max(this.at, zxid)
      return
    }
    while (this.due.length > 0 || this.at < zxid) {
      const [missing] = this.due
      if (missing !== undefined) {
        check(false, `${shown(missing)} of zxid ${this.at} did not come before a reply to ${to.request.op} of ${zxid}`)
      }
      this.step()
    }
  }

  take(event: EventFrame): void {
    while (this.due.length === 0 && this.at < this.history.last) this.step()
    const index = this.at === event.zxid ? this.due.findIndex((told) => isSame(told, event)) : -1
    const wanted = this.due.length === 0 ? 'none' : `${this.due.map(shown).join(', ')} of zxid ${this.at}`
    check(index !== -1, `came ${shown(event)} of zxid ${event.zxid}, was to come ${wanted}`)
    this.due.splice(index, 1)
  }

  private step(): void {
    this.at++
    this.due = this.model.fire(this.history.changesAt(this.at))
  }
}

function checkReplay(
  history: TreeHistory,
  frames: readonly Frame[],
  reply: ReplyFrame,
  model: WatchModel,
  verdict: WatchVerdict,
): void {
  const request = reply.to.request as SetWatchesRequest
  const came = frames.filter((frame) => frame.kind === 'event')
  const fresh = new WatchModel()
  const replay = replayOf(history, request, reply.zxid, fresh)
  const wrong = difference(replay, came)
  check(wrong === undefined, `setWatches from ${request.relativeZxid} to ${reply.zxid}: ${wrong}`)
  if (replay.lasting.length > 0) verdict.replays++
  adopt(model, fresh)
  verdict.events += came.length
}

/** What is wrong with the events that came; undefined if nothing is. */
function difference({ lasting, once }: Replay, came: readonly EventFrame[]): string | undefined {
  const wanted = [...lasting.map(([zxid, told]) => ({ ...told, zxid })), ...once.map((told) => ({ ...told, zxid: 0 }))]
  if (wanted.length !== came.length) return `${came.length} events instead of ${wanted.length}: ${all(came, wanted)}`
  // Those of one zxid come in no particular order.
  const of = (events: readonly (Told & { zxid: number })[]): string[] => {
    const texts = events.slice(0, lasting.length).map((event) => `${String(event.zxid).padStart(12)} ${shown(event)}`)
    return [...texts.sort(), ...events.slice(lasting.length).map(shown)]
  }
  const ascending = came.slice(0, lasting.length).every(({ zxid }, i) => i === 0 || zxid >= (came[i - 1]?.zxid ?? 0))
  if (!ascending) return `not in the order of the zxids: ${all(came, wanted)}`
  return of(came).join() === of(wanted).join() ? undefined : all(came, wanted)
}

function all(came: readonly (Told & { zxid: number })[], wanted: readonly (Told & { zxid: number })[]): string {
  const texts = (events: readonly (Told & { zxid: number })[]): string =>
    events.map((event) => `${shown(event)}@${event.zxid}`).join(', ') || 'nothing'
  return `came ${texts(came)}, was to come ${texts(wanted)}`
}

function adopt(model: WatchModel, from: WatchModel): void {
  for (const kind of ['data', 'child', 'persistent', 'recursive'] as const) {
    for (const path of from[kind]) model[kind].add(path)
  }
}

function isSame(told: Told, { path, type }: EventFrame): boolean {
  return told.type === type && told.path === path
}

function shown({ type, path }: Told): string {
  return `${NAMES.get(type) ?? type} ${path}`
}
