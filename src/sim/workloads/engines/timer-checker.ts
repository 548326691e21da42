// Timers: armed, cancelled and fired at the same positions on all servers; never fired before more than half of the view can have
// measured the delay with their own clocks; never for a generation that is over; none forgotten. Hears what servers applied.

import type { LogPos } from '../../../log/position.ts'
import type { VirtualClock } from '../../time/virtual-clock.ts'
import { check } from '../../workload.ts'
import type { ArmedTimer, TimerEvent } from './timed-database.ts'

/** What clocks and floats may make of a delay, in milliseconds. */
const SLACK_MS = 0.01

/** One process, as long as it lives. */
export interface Stopwatch {
  readonly server: string
  readonly clock: VirtualClock
  /** By generation: when this process applied it, or began with it applied, on its own clock. */
  readonly since: Map<LogPos, number>
}

interface Armed extends ArmedTimer {
  readonly delayMs: number
  /** The longest that each server can have measured in one of its lives that are over. */
  readonly measured: Map<string, number>
}

export class TimerChecker {
  /** Lease is in the stack. */
  mayBeLate = false
  fired = 0
  replaced = 0
  cancelled = 0
  private readonly events: TimerEvent[] = []
  private readonly byPos = new Map<LogPos, TimerEvent[]>()
  /** Timers that may fire, by name. */
  private readonly armed = new Map<string, Armed>()
  private readonly stopwatches = new Set<Stopwatch>()
  /** Switched off with the service: `nameOf` of each. */
  private readonly gone = new Set<string>()

  /** A process plays the log from now on: what its store holds already is armed now at the latest. */
  begin(server: string, clock: VirtualClock): Stopwatch {
    const since = new Map([...this.armed.values()].map(({ generation }) => [generation, clock.monotonicMs()] as const))
    const stopwatch = { server, clock, since }
    this.stopwatches.add(stopwatch)
    return stopwatch
  }

  /** The process is dead. */
  end(stopwatch: Stopwatch): void {
    this.stopwatches.delete(stopwatch)
    const { server } = stopwatch
    for (const { generation, measured } of this.armed.values()) {
      measured.set(server, Math.max(measured.get(server) ?? 0, elapsed(stopwatch, generation)))
    }
  }

  /** A process has applied an event, for the first time or again. */
  applied(stopwatch: Stopwatch, event: TimerEvent): void {
    const known = this.byPos.get(event.pos)?.[event.ordinal]
    if (known) check(sameEvent(known, event), `at ${event.pos} one server saw ${text(known)}, another ${text(event)}`)
    else this.first(event)
    if (event.kind === 'arm') stopwatch.since.set(event.generation, stopwatch.clock.monotonicMs())
  }

  /** The service was switched off, and these went with it. */
  forgotten(timers: readonly ArmedTimer[]): void {
    for (const timer of timers) {
      this.gone.add(`${timer.id} ${timer.generation}`)
      if (this.armed.get(timer.id)?.generation === timer.generation) this.armed.delete(timer.id)
    }
  }

  /** Timers that have yet to fire, in words. */
  get outstanding(): string[] {
    return [...this.armed.values()].map(({ id, generation, delayMs }) => `${id} of ${generation} (${delayMs} ms)`)
  }

  private first(event: TimerEvent): void {
    const last = this.events.at(-1)
    check(
      last === undefined || event.pos >= last.pos,
      `${text(event)} comes after ${last === undefined ? '' : text(last)} was applied elsewhere without it`,
    )
    this.events.push(event)
    const here = this.byPos.get(event.pos) ?? []
    here.push(event)
    this.byPos.set(event.pos, here)
    if (event.kind === 'fire') {
      this.firing(event)
      return
    }
    const { delayMs, generation, id, kind } = event
    const replaced = this.armed.delete(id)
    if (kind === 'cancel') this.cancelled += Number(replaced)
    else this.replaced += Number(replaced)
    if (kind === 'cancel' || this.gone.has(`${id} ${generation}`)) return
    this.armed.set(id, { id, generation, delayMs, measured: new Map() })
  }

  private firing(event: TimerEvent): void {
    const { generation, members } = event
    const armed = this.armed.get(event.id)
    // Lease lets through later what has fired: it may have been armed anew meanwhile, which the database knows by the generation, and
    // the view may be another one than the one that voted.
    if (this.mayBeLate && armed?.generation !== generation) return
    const isArmed = event.current && armed?.generation === generation
    check(isArmed, `${text(event)}, which is not armed any more`)
    const longest = new Map(armed?.measured)
    for (const stopwatch of this.stopwatches) {
      const here = elapsed(stopwatch, generation)
      longest.set(stopwatch.server, Math.max(here, longest.get(stopwatch.server) ?? 0))
    }
    const delayMs = armed?.delayMs ?? 0
    const able = [...longest.values()].filter((ms) => ms + SLACK_MS >= delayMs).length
    check(
      this.mayBeLate || able * 2 > members,
      `${text(event)}: ${able} of ${members} members can have measured ${delayMs} ms`,
    )
    this.armed.delete(event.id)
    this.fired++
  }
}

function elapsed({ clock, since }: Stopwatch, generation: LogPos): number {
  const from = since.get(generation)
  return from === undefined ? 0 : clock.monotonicMs() - from
}

function sameEvent(a: TimerEvent, b: TimerEvent): boolean {
  if (a.kind !== b.kind || a.id !== b.id) return false
  return a.generation === b.generation && a.delayMs === b.delayMs && a.members === b.members && a.current === b.current
}

function text({ kind, id, generation, pos }: TimerEvent): string {
  return `${kind} of timer ${id} of ${generation} at ${pos}`
}
