// Runs the conformance suite of engines: servers in one process over memory log and memory store, with observers at every
// joint.

import type { EngineServer, ProbeResult } from '../../src/engine/engine.conformance.ts'
import type { Applicator } from '../../src/engine/engine.ts'
import { type EngineFactory, Stack } from '../../src/engine/stack.ts'
import { BaseEngine } from '../../src/engines/base-engine/base-engine.ts'
import { ObserverSet } from '../../src/engines/observer-engine.ts'
import { VirtualLog } from '../../src/log/virtual-log.ts'
import { MemoryLogletProvider } from '../../src/loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../src/metastores/memory/memory-metastore.ts'
import { nodeRuntime } from '../../src/runtime/node-runtime.ts'
import { MemoryBackend, openMemoryStore } from '../../src/store/memory-store.ts'

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

/** See EngineConformanceOptions.open. */
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
    jointNames: ['observer'],
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
    replay: (next) => start(world, new MemoryBackend(runtime), engines, next),
  }
}
