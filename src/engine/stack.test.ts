import { describe, expect, it } from 'vitest'
import { countingEngine, countOf } from '../../test/support/counting-engine.ts'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import { ScriptedLog } from '../../test/support/scripted-log.ts'
import { BaseEngine } from '../engines/base-engine/base-engine.ts'
import { batchingEngine } from '../engines/batching-engine.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { encodeFlagChange } from './engine-flags.ts'
import { controlEntry, entryOf, withHeader } from './entry.ts'
import { encodeEntry } from './entry-codec.ts'
import type { Membership } from './membership.ts'
import { type EngineFactory, Stack } from './stack.ts'

const on = { kind: 'flag', enabled: true } as const
const off = { kind: 'flag', enabled: false } as const

function serverOf(world: Simulation, log: ScriptedLog, engines: readonly EngineFactory[], name = 'a'): LedgerServer {
  return new LedgerServer({ world, name, engines, openLog: async () => log })
}

function test(name: string, body: (world: Simulation, log: ScriptedLog) => Promise<void>): void {
  it(name, () => simulate({ seed: 1 }, (world) => body(world, new ScriptedLog())))
}

describe('a stack', () => {
  const refusals: [string, EngineFactory[], string][] = [
    [
      'an engine whose lower neighbour is missing',
      [countingEngine({ neighbours: { needsBelow: ['time'] } })],
      'needs time below it',
    ],
    [
      'an engine whose lower neighbour is above it',
      [countingEngine({ neighbours: { needsBelow: ['batching'] } }), batchingEngine()],
      'needs batching below it',
    ],
    [
      'an engine that must not be below another',
      [countingEngine({ neighbours: { notBelow: ['batching'] } }), batchingEngine()],
      'must not be below batching',
    ],
    [
      'an engine above one that must be topmost',
      [countingEngine({ neighbours: { topmost: true } }), batchingEngine()],
      'must be topmost',
    ],
    ['an engine twice', [batchingEngine(), batchingEngine()], 'is in it twice'],
  ]
  for (const [what, engines, reason] of refusals) {
    test(`refuses ${what}`, async (world, log) => {
      await expect(serverOf(world, log, engines).start()).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(reason),
      })
    })
  }

  test('takes engines whose neighbours are as they need', async (world, log) => {
    const top = countingEngine({ neighbours: { needsBelow: ['batching', 'base'], topmost: true } })
    const server = serverOf(world, log, [batchingEngine(), top])
    await server.startServing()
    expect(server.stack.status().engines.map((engine) => engine.name)).toEqual(['batching', 'counting'])
  })

  test('has an observer at every joint, and reports its engines bottom to top', async (world, log) => {
    const server = serverOf(world, log, [batchingEngine(), countingEngine()])
    await server.startServing()
    await Promise.all(['one', 'two'].map((text) => server.propose(text)))
    const joints = server.observers.snapshot()
    expect(joints.map((joint) => `${joint.below} ${joint.above}`)).toEqual([
      'base batching',
      'batching counting',
      'counting ledger',
    ])
    // Two control entries, of which only the observer below Batching knows; then two proposals, which are one below Batching.
    expect(joints.map((joint) => joint.proposals)).toEqual([3, 2, 2])
    // Those above it are estimated from what is timed: the first of so many, here a control entry that none of them sees.
    expect(joints[0]?.applies).toBe(3)
  })

  test('tells its listeners about states, and whenServing about the end', async (world, log) => {
    const server = serverOf(world, log, [])
    await server.start()
    const states: string[] = []
    server.stack.onStateChange((state) => states.push(state))
    await server.stack.whenServing()
    await server.stack.stop()
    expect(states).toEqual(['closed'])
    await expect(server.stack.whenServing()).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('the switch of an engine', () => {
  test('changes what apply does from its own position on, within one transaction', async (world, log) => {
    const server = serverOf(world, log, [countingEngine()])
    await server.startServing()
    await server.stack.change('counting', off)
    const counted = (text: string) =>
      encodeEntry(withHeader(entryOf(Buffer.from(text)), 'counting', new Uint8Array([16])))
    const toggle = (enabled: boolean) =>
      encodeEntry(controlEntry('counting', encodeFlagChange({ kind: 'flag', enabled }), true))
    const { transactions } = server.stack.status()
    for (const bytes of [counted('1'), toggle(true), counted('2'), counted('3'), toggle(false), counted('4')]) {
      log.store(bytes)
    }
    await server.stack.sync()
    expect(server.stack.status().transactions).toBe(transactions + 1)
    expect(countOf(server.stack.read())).toBe(2)
    expect(server.stack.status().engines).toMatchObject([{ name: 'counting', enabled: false }])
  })

  test('is refused while a member of the view has not announced the engine, and then changes nothing', async (world, log) => {
    const runtime = world.server('a').boot()
    const store = openMemoryStore({ runtime })
    let missing = ['b']
    const membership: Membership = { missing: () => missing, members: () => ['a', 'b'] }
    const stack = new Stack<number>({
      ...runtime,
      serverId: 'a',
      database: 'none',
      bottom: new BaseEngine({ ...runtime, serverId: 'a', log, store }),
      engines: [countingEngine()],
      membership: () => membership,
      checked: true,
    })
    stack.attach({ apply: () => 0, postApply: () => undefined })
    await stack.start()
    expect(await stack.change('counting', on)).toMatchObject({ kind: 'refused', missing: ['b'] })
    expect(stack.status().engines).toMatchObject([{ enabled: false }])
    await expect(stack.enable()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('b') })
    // Off it is already. None of this was worth an entry, which would have stopped the member that lacks the engine.
    expect(await stack.change('counting', off)).toMatchObject({ kind: 'switched', flags: { enabled: false } })
    expect(stack.status().cursor).toBe(0)
    // Who asks too early all the same, with an entry, is refused by apply.
    log.store(encodeEntry(controlEntry('counting', encodeFlagChange(on), true)))
    await stack.sync()
    expect(stack.status()).toMatchObject({ cursor: 1, engines: [{ enabled: false }] })
    missing = []
    expect(await stack.change('counting', on)).toMatchObject({ kind: 'switched' })
    // Off needs nobody.
    missing = ['b']
    expect(await stack.change('counting', off)).toMatchObject({ kind: 'switched', flags: { enabled: false } })
  })

  test('raises the level by the same rule, never lowers it, and a build that does not know it stops', async (world, log) => {
    const server = serverOf(world, log, [countingEngine({ levelMax: 1 })])
    await server.startServing()
    await server.propose('one')
    expect(await server.stack.change('counting', { kind: 'level', level: 1 })).toMatchObject({
      kind: 'switched',
      flags: { enabled: true, level: 1 },
    })
    expect(await server.stack.change('counting', { kind: 'level', level: 1 })).toMatchObject({ kind: 'refused' })
    await server.propose('two')
    expect(countOf(server.stack.read())).toBe(3)
    const older = serverOf(world, log, [countingEngine({ levelMax: 0 })], 'b')
    await older.start()
    expect(await older.stack.failed).toMatchObject({ code: 'UNSUPPORTED', position: 2 })
    expect(countOf(older.stack.read())).toBe(0)
  })

  test('to a level that a member lacks is refused by the view at every server, that member included', async (world, log) => {
    const runtime = world.server('a').boot()
    const membership: Membership = {
      missing: (_tx, _engine, level) => (level > 0 ? ['a'] : []),
      members: () => ['a', 'b'],
    }
    const stack = new Stack<number>({
      ...runtime,
      serverId: 'a',
      database: 'none',
      bottom: new BaseEngine({ ...runtime, serverId: 'a', log, store: openMemoryStore({ runtime }) }),
      engines: [countingEngine({ levelMax: 0 })],
      membership: () => membership,
    })
    stack.attach({ apply: () => 0, postApply: () => undefined })
    await stack.start()
    // Asked of this server itself, it needs no entry.
    expect(await stack.change('counting', { kind: 'level', level: 1 })).toMatchObject({ missing: ['a'] })
    expect(stack.status().cursor).toBe(0)
    log.store(encodeEntry(controlEntry('counting', encodeFlagChange({ kind: 'level', level: 1 }), true)))
    await stack.sync()
    expect(stack.status()).toMatchObject({ state: 'serving', cursor: 1, engines: [{ level: 0 }] })
  })

  test('stops a server whose stack lacks the engine, before the switch', async (world, log) => {
    const server = serverOf(world, log, [countingEngine()])
    await server.startServing()
    const older = serverOf(world, log, [], 'b')
    await older.start()
    expect(await older.stack.failed).toMatchObject({
      code: 'UNSUPPORTED',
      position: 0,
      message: expect.stringContaining('counting'),
    })
  })
})

describe('a checked stack', () => {
  test('stops at an engine that writes outside its range', async (world, log) => {
    const server = serverOf(world, log, [countingEngine({ fault: 'writes elsewhere' })])
    await server.startServing()
    await expect(server.propose('one')).rejects.toMatchObject({ code: 'INDETERMINATE' })
    expect((await server.stack.failed).message).toContain('outside its key range')
  })

  test('stops at an engine that writes before it is enabled', async (world, log) => {
    const server = serverOf(world, log, [countingEngine({ fault: 'writes while disabled' })])
    await server.start()
    await expect(server.propose('one')).rejects.toMatchObject({ code: 'INDETERMINATE' })
    expect((await server.stack.failed).message).toContain('before it was enabled')
  })
})
