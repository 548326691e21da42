// The planted bugs of sessions and watches, between the ZooKeeper server and Zelos.

import type { Timers } from '../runtime/runtime.ts'
import type { WatchSet, WatchSink, Zelos } from '../zelos/zelos.ts'
import type { PlantedBug } from './planted-bugs.ts'

/** `zelos` with the bug, or as it is. */
export function withSessionBug(planted: PlantedBug | undefined, zelos: Zelos, timers: Timers): Zelos {
  switch (planted) {
    case 'ephemerals-die-early':
      return changed(zelos, { sessions: endsSessions(zelos) })
    case 'watch-lost':
      return changed(zelos, {
        setWatches: (sink, watches, completion) => zelos.setWatches(sink, withoutFirst(watches), completion),
      })
    case 'event-twice':
      return changed(zelos, {
        setWatches: (sink, watches, completion) =>
          zelos.setWatches(sink, { ...watches, relativeZxid: watches.relativeZxid - 20 }, completion),
      })
    case 'event-late':
      return lateEvents(zelos, timers)
    default:
      return zelos
  }
}

/** The same object, but for `changes`. */
function changed<T extends object>(whole: T, changes: Partial<T>): T {
  return new Proxy(whole, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in changes ? changes : target, name)
      return typeof value === 'function' && !(name in changes) ? value.bind(target) : value
    },
  })
}

/** A session ends with its connection. */
function endsSessions(zelos: Zelos): Zelos['sessions'] {
  const { sessions } = zelos
  return changed(sessions, {
    detach: (id, owner) => {
      sessions.detach(id, owner)
      const { requester } = owner as unknown as WatchSink
      if (requester.session === id) zelos.closeSession(requester, { resolve: () => undefined, reject: () => undefined })
    },
  })
}

function withoutFirst(watches: WatchSet): WatchSet {
  return { ...watches, data: watches.data.slice(1), child: watches.child.slice(1) }
}

/** Events leave behind the replies of their turn. */
function lateEvents(zelos: Zelos, timers: Timers): Zelos {
  const sinks = new WeakMap<WatchSink, WatchSink>()
  const late = <S extends WatchSink | undefined>(sink: S): S => {
    if (sink === undefined) return sink
    const known = sinks.get(sink)
    if (known !== undefined) return known as S
    const made: WatchSink = {
      watchFired: (...event) => timers.after(1, () => sink.watchFired(...event)),
      get requester() {
        return sink.requester
      },
    }
    sinks.set(sink, made)
    return made as S
  }
  return changed(zelos, {
    getData: (requester, path, watch) => zelos.getData(requester, path, late(watch)),
    exists: (requester, path, watch) => zelos.exists(requester, path, late(watch)),
    removeSink: (sink) => zelos.removeSink(late(sink)),
  })
}
