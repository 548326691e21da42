import { describe, expect, it } from 'vitest'
import { countingEngine } from '../../test/support/counting-engine.ts'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import { ScriptedLog } from '../../test/support/scripted-log.ts'
import { type EngineFactory, Stack } from '../engine/stack.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { viewTrackingEngine } from '../engines/view-tracking/view-tracking-engine.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { SILENT_LOGGER } from '../runtime/logger.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { simulate } from '../sim/simulation.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { enableNewEngines, logSwitches } from './enabled-engines.ts'

const VIEW = viewTrackingEngine({ heartbeatMs: 100, silentMs: 5000 })
const OLD = [VIEW, countingEngine()]
const NEW = [VIEW, countingEngine({ name: 'fresh' }), countingEngine()]

/** Servers over one log, in virtual time. */
class Servers {
  readonly warnings: unknown[] = []
  private readonly open: (name: string, engines: readonly EngineFactory[]) => LedgerServer
  private readonly now: () => number

  constructor(open: (name: string, engines: readonly EngineFactory[]) => LedgerServer, now: () => number) {
    this.open = open
    this.now = now
  }

  /** Starts a new one, or the same directory with another stack, as a database does. */
  async start(name: string, engines: readonly EngineFactory[]) {
    const server = this.open(name, engines)
    await server.start()
    await server.stack.whenServing()
    const fromMs = this.now()
    const logger = { ...SILENT_LOGGER, warn: (fields: object) => void this.warnings.push(fields) }
    const { background } = await enableNewEngines({
      database: 'ledger',
      serverId: name,
      stack: server.stack as never,
      logger,
    })
    return { server, background, tookMs: this.now() - fromMs }
  }
}

function test(name: string, body: (servers: Servers, sleep: (ms: number) => Promise<void>) => Promise<void>): void {
  it(name, () =>
    simulate({ seed: 1 }, async (world) => {
      const provider = new MemoryLogletProvider()
      const register = new MemoryRegister()
      const open = (name: string, engines: readonly EngineFactory[]) =>
        new LedgerServer({
          world,
          name,
          engines,
          openLog: () =>
            VirtualLog.open({
              ...world.server(name).runtime,
              metastore: new MemoryMetaStore(register),
              providers: [provider],
              initial: { kind: 'memory', params: {} },
            }),
        })
      await body(new Servers(open, () => world.queue.nowMs), (ms) => world.sleep(ms))
    }),
  )
}

function enabled({ stack }: LedgerServer): string[] {
  return stack.status().engines.flatMap((engine) => (engine.enabled ? [engine.name] : []))
}

describe('the engines of a stack', () => {
  test('are all enabled when a server that is alone has started', async (servers) => {
    const { server } = await servers.start('x', NEW)
    expect(enabled(server)).toEqual(['view-tracking', 'fresh', 'counting'])
    expect(servers.warnings).toEqual([])
  })

  test('that an operator has disabled stay so when a server with an empty directory joins', async (servers, sleep) => {
    const x = await servers.start('x', OLD)
    await x.server.stack.change('counting', { kind: 'flag', enabled: false })
    await sleep(500)
    const y = await servers.start('y', OLD)
    await y.background
    await x.server.stack.sync()
    for (const { server } of [x, y]) expect(enabled(server)).toEqual(['view-tracking'])
  })

  test('are asked for beside serving where others are: refused by all but the last to know them', async (servers, sleep) => {
    const x = await servers.start('x', OLD)
    await sleep(500)
    const y = await servers.start('y', NEW)
    expect(y.tookMs).toBe(0)
    await y.background
    expect(servers.warnings).toEqual([
      { database: 'ledger', engines: ['fresh'], error: expect.stringContaining('fresh is not known to x') },
    ])
    expect(enabled(y.server)).toEqual(['view-tracking', 'counting'])
    await x.server.stop()
    const last = await servers.start('x', NEW)
    await last.background
    await y.server.stack.sync()
    expect(enabled(y.server)).toEqual(['view-tracking', 'fresh', 'counting'])
    expect(servers.warnings).toHaveLength(1)
  })

  test('are asked for no longer once the stack is closed', async (servers, sleep) => {
    await servers.start('x', OLD)
    await sleep(500)
    const y = await servers.start('y', NEW)
    await y.server.stack.stop()
    await y.background
    expect(servers.warnings).toEqual([])
  })
})

describe('a switch of an engine', () => {
  it('leaves one line in the log, with what was asked for, where, and what came of it', async () => {
    const lines: object[] = []
    const logger = { ...SILENT_LOGGER, info: (fields: object) => void lines.push(fields) }
    const runtime = nodeRuntime()
    const log = new ScriptedLog()
    const store = openMemoryStore({ runtime })
    const stack = new Stack<number>({
      ...runtime,
      serverId: 'x',
      database: 'ledger',
      bottom: new BaseEngine({ ...runtime, serverId: 'x', log, store }),
      engines: [countingEngine({ levelMax: 1 })],
      switchApplied: logSwitches('ledger', logger),
    })
    stack.attach({ apply: () => 0, postApply: () => undefined })
    await stack.start()
    await stack.change('counting', { kind: 'flag', enabled: true })
    await stack.change('counting', { kind: 'level', level: 1 })
    await stack.change('counting', { kind: 'level', level: 1 })
    await stack.change('counting', { kind: 'flag', enabled: false })
    await stack.stop()
    const line = { database: 'ledger', engine: 'counting' }
    expect(lines).toEqual([
      { ...line, change: 'enable', position: 0, outcome: 'switched' },
      { ...line, change: 'level 1', position: 1, outcome: 'switched' },
      { ...line, change: 'level 1', position: 2, outcome: 'refused' },
      { ...line, change: 'disable', position: 3, outcome: 'switched' },
    ])
  })
})
