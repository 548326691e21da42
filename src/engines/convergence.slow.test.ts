import { describe, expect, it } from 'vitest'
import { contentOf, ledgerTexts } from '../../test/support/ledger.ts'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import { DelosError } from '../base/delos-error.ts'
import type { LogPos } from '../log/position.ts'
import type { AppendOutcome } from '../log/shared-log.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { HostileLogletProvider } from '../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { cursorInAnotherBatch } from '../sim/planted-cursor.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import type { StoreBackend } from '../store/store-backend.ts'
import { batchingEngine } from './batching-engine.ts'

const SERVERS = ['a', 'b', 'c']
const RECIPE = { kind: 'memory', params: {} }

type Fate = 'acknowledged' | 'rejected' | 'unknown' | 'refused'

interface Tally {
  crashes: number
  crashesBeforeApply: number
  duplicates: number
  extends: number
  fates: Record<Fate, number>
}

/** Random proposals at three servers over one hostile log, with crashes; then what the stores hold must agree. */
async function run(seed: number, wrapBackend?: (backend: StoreBackend) => StoreBackend): Promise<Tally> {
  return simulate({ seed }, async (world) => {
    const { random } = world
    const inner = new MemoryLogletProvider({ gap: () => (random.chance(0.1) ? random.below(4) : 0) })
    const register = new MemoryRegister()
    const provider = new HostileLogletProvider(inner, {
      random,
      timers: world.timers,
      duplicateRate: 0.05,
      indeterminateRate: 0.05,
    })
    const tally: Tally = {
      crashes: 0,
      crashesBeforeApply: 0,
      duplicates: 0,
      extends: 0,
      fates: { acknowledged: 0, rejected: 0, unknown: 0, refused: 0 },
    }
    const servers = SERVERS.map(
      (name): LedgerServer =>
        new LedgerServer({
          world,
          name,
          wrapBackend,
          engines: [batchingEngine({ inFlightMax: seed % 3 === 0 ? 3 : 1, batchCountMax: 7 })],
          limits: { flushMs: 50, sliceBytes: 400, proposalsMax: 20, proposalDeadlineMs: 2_000, indeterminateMs: 200 },
          openLog: async () => {
            const { clock, random: chance, timers } = world.server(name).runtime
            const metastore = new MemoryMetaStore(register)
            const log = await VirtualLog.open({
              metastore,
              providers: [provider],
              clock,
              timers,
              random: chance,
              initial: RECIPE,
            })
            return crashing(log, () => {
              const server = servers[SERVERS.indexOf(name)] as LedgerServer
              if (!server.running || tally.crashes > 12 || !random.chance(0.03)) return
              tally.crashesBeforeApply++
              kill(server)
            })
          },
        }),
    )
    const kill = (server: LedgerServer): void => {
      tally.crashes++
      tally.duplicates += server.stack.status().duplicatesDropped
      server.crash()
    }
    const fates = new Map<string, Fate>()
    let next = 0
    const propose = (server: LedgerServer): void => {
      const text = `${random.chance(0.1) ? '!' : ''}${next++}`
      // A crash is an answer that never comes.
      fates.set(text, 'unknown')
      const note = (fate: Fate): void => {
        fates.set(text, fate)
      }
      server.propose(text).then(
        (result) => {
          if (server.running) note(result === 'rejected' ? 'rejected' : 'acknowledged')
        },
        (error: unknown) => note(error instanceof DelosError && error.code !== 'INDETERMINATE' ? 'refused' : 'unknown'),
      )
    }
    await Promise.all(servers.map((server) => server.start()))
    for (let step = 0; step < 60; step++) {
      const server = random.pick(servers)
      if (!server.running) {
        await startAnew(world, server)
      } else if (tally.crashes < 12 && random.chance(0.08)) {
        kill(server)
      } else {
        if (random.chance(0.2)) enable(server)
        if (random.chance(0.1)) extend(server, tally)
        for (let burst = random.integer(1, 10); burst > 0; burst--) propose(server)
      }
      await world.sleep(random.below(30))
    }
    for (const server of servers) if (!server.running) await startAnew(world, server)
    await world.sleep(5_000)
    for (const server of servers) if (!server.running) await startAnew(world, server)
    await Promise.all(servers.map((server) => server.stack.sync()))
    check(servers, fates)
    for (const server of servers) tally.duplicates += server.stack.status().duplicatesDropped
    for (const fate of fates.values()) tally.fates[fate]++
    return tally
  })
}

async function startAnew(world: Simulation, server: LedgerServer): Promise<void> {
  await world.sleep(world.random.below(200))
  await server.start()
}

function enable(server: LedgerServer): void {
  // It may be refused, or die with the server: another one will try.
  server.stack.enable().catch(() => undefined)
}

function extend(server: LedgerServer, tally: Tally): void {
  const log = server.log as VirtualLog
  log.extend(RECIPE).then(
    () => tally.extends++,
    // It may lose the race, or die with the server.
    () => undefined,
  )
}

/** Runs `acknowledged` between an append and its apply. */
function crashing(log: VirtualLog, acknowledged: () => void): VirtualLog {
  const append = log.append.bind(log)
  log.append = async (bytes: Uint8Array): Promise<AppendOutcome> => {
    const outcome = await append(bytes)
    if (outcome.kind === 'appended') acknowledged()
    return outcome
  }
  return log
}

function check(servers: readonly LedgerServer[], fates: ReadonlyMap<string, Fate>): void {
  const [first, ...others] = servers.map((server) => contentOf(server.store.read()))
  for (const other of others) expect(other).toEqual(first)
  const texts = ledgerTexts((servers[0] as LedgerServer).store.read())
  expect(new Set(texts).size, 'no proposal is applied twice').toBe(texts.length)
  const applied = new Set(texts)
  for (const [text, fate] of fates) {
    if (fate === 'acknowledged') expect(applied, `${text} was acknowledged`).toContain(text)
    if (fate === 'refused' || fate === 'rejected') expect(applied, `${text} was ${fate}`).not.toContain(text)
  }
  const cursors = servers.map((server) => server.stack.status().cursor)
  expect(new Set<LogPos>(cursors).size).toBe(1)
}

describe('several servers over one shared log of hostile memory loglets', () => {
  it('end with equal content, and every acknowledged proposal is applied exactly once', async () => {
    const total = {
      crashes: 0,
      crashesBeforeApply: 0,
      duplicates: 0,
      extends: 0,
      acknowledged: 0,
      rejected: 0,
      unknown: 0,
      refused: 0,
    }
    for (let seed = 1; seed <= 30; seed++) {
      const { fates, ...counts } = await run(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      })
      for (const [name, count] of Object.entries({ ...counts, ...fates })) total[name as keyof typeof total] += count
    }
    // A run that never met the weather proves nothing.
    expect(total.crashes).toBeGreaterThan(100)
    expect(total.crashesBeforeApply).toBeGreaterThan(30)
    expect(total.duplicates).toBeGreaterThan(50)
    expect(total.extends).toBeGreaterThan(20)
    expect(total.acknowledged).toBeGreaterThan(500)
    for (const fate of ['rejected', 'unknown', 'refused'] as const) expect(total[fate]).toBeGreaterThan(20)
  })

  it('are caught when one of them writes the cursor in another batch than the data', async () => {
    const findings: string[] = []
    for (let seed = 1; seed <= 20; seed++) {
      await run(seed, cursorInAnotherBatch).catch((error: unknown) => findings.push(String(error)))
    }
    expect(findings.join('\n')).toContain('AssertionError')
  })
})
