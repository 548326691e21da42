// A server for tests of engines: Base and the engines in question, with Observers, over a memory log and a memory store, in real
// time. What the conformance suite of engines is run with, here and by whoever writes an engine.

import type { EngineServer, ProbeResult } from '../engine/engine.conformance.ts'
import type { Applicator } from '../engine/engine.ts'
import { type EngineFactory, Stack } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { OBSERVER } from '../engines/observer-engine.ts'
import { ObserverSet } from '../engines/observer-set.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { MemoryBackend, openMemoryStore } from '../store/memory-store.ts'

const runtime = nodeRuntime()

/** The shared log of some servers. */
class World {
  readonly provider = new MemoryLogletProvider()
  readonly register = new MemoryRegister()

  openLog(): Promise<VirtualLog> {
    return VirtualLog.open({
      ...runtime,
      metastore: new MemoryMetaStore(this.register),
      providers: [this.provider],
      initial: { kind: 'memory', params: {} },
    })
  }
}

/** A server with a new log and an empty store; its stack is checked. See EngineConformanceOptions.open. */
export function openEngineServer(
  engines: readonly EngineFactory[],
  applicator: Applicator<ProbeResult>,
): Promise<EngineServer> {
  return start(new World(), new MemoryBackend(runtime), engines, applicator)
}

async function start(
  world: World,
  backend: MemoryBackend,
  engines: readonly EngineFactory[],
  applicator: Applicator<ProbeResult>,
): Promise<EngineServer> {
  const store = openMemoryStore({ runtime, backend })
  const log = await world.openLog()
  const observers = new ObserverSet({ clock: runtime.clock, sampleEvery: 1 })
  const stack = new Stack<ProbeResult>({
    ...runtime,
    serverId: 'server',
    database: 'probe',
    bottom: new BaseEngine({ ...runtime, serverId: 'server', log, store }),
    engines,
    wrapJoint: observers.wrapJoint,
    jointNames: [OBSERVER],
    checked: true,
  })
  stack.attach(applicator, { keepsLog: true })
  await stack.start()
  const close = async (): Promise<void> => {
    await stack.stop()
    await log.close()
    await store.close()
  }
  return {
    stack,
    close,
    restart: async (next) => {
      await close()
      return start(world, backend, engines, next)
    },
    replay: (next, others = engines) => start(world, new MemoryBackend(runtime), others, next),
  }
}
