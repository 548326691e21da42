// What every engine must be to the layers above: invisible. The same proposals through stacks with and without the engine
// give the same results, in the same order, and the same content outside the engine's range. Run by each engine's tests, and
// by whoever writes one.

import type { DelosError } from '../base/delos-error.ts'
import type { TestFramework } from '../base/test-framework.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../store/local-store.ts'
import { subStorePrefix } from '../store/sub-store.ts'
import type { Applicator } from './engine.ts'
import type { EngineFlags, FlagChange } from './engine-flags.ts'
import { type Entry, entryOf } from './entry.ts'
import type { EngineFactory, Stack } from './stack.ts'

/** One server with a fresh log and an empty store. */
export interface EngineServer {
  readonly stack: Stack<ProbeResult>
  /** Ends the server in order and starts one on the same log and store, with a new stack. */
  restart(applicator: Applicator<ProbeResult>): Promise<EngineServer>
  /** The same log, and an empty store; another build if `engines` are given. */
  replay(applicator: Applicator<ProbeResult>, engines?: readonly EngineFactory[]): Promise<EngineServer>
  close(): Promise<void>
}

export interface EngineConformanceOptions {
  readonly factory: EngineFactory
  /** Engines among which it is inserted, bottom to top, as far as neighbours allow. */
  readonly others?: readonly EngineFactory[]
  /** Opens a server whose stack has these engines, with `checked` on, attaches the applicator, and starts it. */
  open(engines: readonly EngineFactory[], applicator: Applicator<ProbeResult>): Promise<EngineServer>
  /** Random programs to run. Default 25. */
  readonly programs?: number
}

/** What the probing database answers. */
export type ProbeResult = string

/** Registers the suite. */
export function engineConformance(name: string, framework: TestFramework, options: EngineConformanceOptions): void {
  const { describe, it, expect } = framework
  const { factory, others = [], programs = 25 } = options
  const prefix = subStorePrefix(factory.name)

  /** Runs a program through these engines, the others enabled throughout. */
  async function outcomeOf(
    engines: readonly EngineFactory[],
    program: Program,
    newer?: typeof newerContentOf,
  ): Promise<Outcome> {
    const probe = new Probe()
    let server = await options.open(engines, probe)
    await server.stack.whenServing()
    for (const { name } of engines) {
      if (name !== factory.name) await server.stack.change(name, { kind: 'flag', enabled: true })
    }
    const results: string[] = []
    for (const [at, step] of program.entries()) {
      if (step.kind === 'switch') {
        if (engines.includes(factory)) await server.stack.change(factory.name, { kind: 'flag', enabled: step.enabled })
      } else if (step.kind === 'level') {
        // One that is reached already is refused.
        if (engines.includes(factory)) await server.stack.change(factory.name, step)
      } else if (step.kind === 'sync') await server.stack.sync()
      else if (step.kind === 'restart') {
        server = await server.restart(probe)
        await server.stack.whenServing()
      } else {
        const { meanwhile } = step
        const switched =
          meanwhile !== undefined && engines.includes(factory) && server.stack.change(factory.name, meanwhile)
        results.push(...(await Promise.all(step.texts.map((text) => resultOf(server.stack, `${at}/${text}`)))))
        await switched
      }
    }
    const tx = await server.stack.sync()
    const content = contentOutside(tx, engines)
    const own = contentOf(tx, prefix)
    const replayProbe = new Probe()
    const replayed = await server.replay(replayProbe)
    await replayed.stack.whenServing()
    const replayedContent = contentOf(await replayed.stack.sync(), '')
    const all = contentOf(server.stack.read(), '')
    await replayed.close()
    const newerContent = await newer?.(server, engines)
    await server.close()
    return {
      results,
      seen: probe.seen,
      content,
      own,
      all,
      replayedContent,
      replayedSeen: replayProbe.seen,
      newerContent,
    }
  }

  // The same log at a server whose build knows one level more, as far as it was written by then: such a server may announce it.
  async function newerContentOf(server: EngineServer, engines: readonly EngineFactory[]): Promise<readonly string[]> {
    const newer = { ...factory, levelMax: factory.levelMax + 1 }
    const replayed = await server.replay(
      new Probe(),
      engines.map((engine) => (engine === factory ? newer : engine)),
    )
    await replayed.stack.whenServing()
    const content = contentOf(replayed.stack.read(), '')
    await replayed.close()
    return content
  }

  describe(`${name}: the contract of an engine`, () => {
    it('makes an engine that bears its factory\u2019s name', async () => {
      const server = await options.open([factory], new Probe())
      expect(server.stack.status().engines.map((engine) => engine.name)).toEqual([factory.name])
      await server.close()
    })

    for (const place of places(factory, others)) {
      const names = place.map((engine) => engine.name).join(', ')

      it(`is invisible to the layers above in the stack ${names} (bottom to top)`, async () => {
        for (let seed = 1; seed <= programs; seed++) {
          const program = randomProgram(seed, factory.levelMax)
          const without = await outcomeOf(others, program)
          const withIt = await outcomeOf(place, program)
          expect(withIt.results, `results, seed ${seed}`).toEqual(without.results)
          expect(withIt.seen, `order of postApply, seed ${seed}`).toEqual(without.seen)
          expect(withIt.content, `content, seed ${seed}`).toEqual(without.content)
        }
      }, 60_000)

      it(`plays to equal content on another server, also of a newer build, in the stack ${names} (bottom to top)`, async () => {
        for (let seed = 1; seed <= programs; seed++) {
          const program = randomProgram(seed, factory.levelMax)
          const { all, newerContent, replayedContent, replayedSeen, seen } = await outcomeOf(
            place,
            program,
            newerContentOf,
          )
          expect(replayedContent, `content, seed ${seed}`).toEqual(all)
          expect(replayedSeen, `order, seed ${seed}`).toEqual(seen)
          expect(newerContent, `content of a newer build, seed ${seed}`).toEqual(all)
        }
      }, 60_000)
    }

    it('writes nothing before it is enabled', async () => {
      for (let seed = 1; seed <= programs; seed++) {
        const program = randomProgram(seed, factory.levelMax).flatMap((step): Step[] => {
          if (step.kind === 'switch' || step.kind === 'level') return []
          return [step.kind === 'propose' ? { kind: 'propose', texts: step.texts } : step]
        })
        const { own } = await outcomeOf(places(factory, others).at(-1) ?? [factory], program)
        expect(own, `own range, seed ${seed}`).toEqual([])
      }
    }, 60_000)

    it('is switched at one position, by its own control entry, and stays so after a restart', async () => {
      const probe = new Probe()
      let server = await options.open([factory], probe)
      await server.stack.whenServing()
      const flags = (): EngineFlags => {
        const [engine] = server.stack.status().engines
        return { enabled: engine?.enabled ?? false, level: engine?.level ?? 0 }
      }
      expect(flags()).toEqual({ enabled: false, level: 0 })
      const outcome = await server.stack.change(factory.name, { kind: 'flag', enabled: true })
      expect(outcome).toEqual({ kind: 'switched', flags: { enabled: true, level: 0 } })
      expect(flags()).toEqual({ enabled: true, level: 0 })
      server = await server.restart(probe)
      expect(flags()).toEqual({ enabled: true, level: 0 })
      await server.stack.whenServing()
      await server.stack.change(factory.name, { kind: 'flag', enabled: false })
      expect(flags()).toEqual({ enabled: false, level: 0 })
      expect(probe.seen).toEqual([])
      await server.close()
    })
  })
}

type Step =
  /** `meanwhile`: the switch is on its way before them, so what they were made for is not what they are applied under. */
  | {
      readonly kind: 'propose'
      readonly texts: readonly string[]
      readonly meanwhile?: FlagChange | undefined
    }
  | { readonly kind: 'switch'; readonly enabled: boolean }
  | { readonly kind: 'level'; readonly level: number }
  | { readonly kind: 'sync' }
  | { readonly kind: 'restart' }

type Program = readonly Step[]

interface Outcome {
  readonly results: readonly string[]
  readonly seen: readonly string[]
  readonly content: readonly string[]
  readonly own: readonly string[]
  readonly all: readonly string[]
  readonly replayedContent: readonly string[]
  readonly replayedSeen: readonly string[]
  readonly newerContent: readonly string[] | undefined
}

const PROBE = 'conformance-probe'
const PROBE_PREFIX = subStorePrefix(PROBE)

/** A database whose content depends on the order of everything applied, and whose results on the content. */
class Probe implements Applicator<ProbeResult> {
  readonly seen: string[] = []

  apply(tx: ReadWriteTx, entry: Entry, _pos: LogPos): ProbeResult {
    const text = Buffer.from(entry.payload as Uint8Array).toString('utf8')
    const before = tx.get(PROBE_PREFIX)
    const count = before === undefined ? 1 : Number(Buffer.from(before).toString('latin1')) + 1
    tx.put(PROBE_PREFIX, Buffer.from(String(count), 'latin1'))
    tx.put(`${PROBE_PREFIX}${text}`, Buffer.from(String(count), 'latin1'))
    if (count % 7 === 0) tx.delete(`${PROBE_PREFIX}${text}`)
    return `${count}:${text}`
  }

  postApply(_entry: Entry, _pos: LogPos, result: ProbeResult): void {
    this.seen.push(result)
  }
}

/** Every stack of `others` with the engine inserted where the neighbours of all allow it. */
function places(factory: EngineFactory, others: readonly EngineFactory[]): EngineFactory[][] {
  const stacks = others.map((_, at) => [...others.slice(0, at), factory, ...others.slice(at)])
  stacks.push([...others, factory])
  return stacks.filter((stack) => stack.every((engine, at) => allowed(engine, at, stack)))
}

function allowed(engine: EngineFactory, at: number, stack: readonly EngineFactory[]): boolean {
  const { needsBelow = [], notBelow = [], topmost = false } = engine.neighbours
  const below = stack.slice(0, at).map((other) => other.name)
  const above = stack.slice(at + 1).map((other) => other.name)
  if (topmost && above.length > 0) return false
  return (
    needsBelow.every((name) => name === 'base' || below.includes(name)) &&
    !notBelow.some((name) => above.includes(name))
  )
}

function resultOf(stack: Stack<ProbeResult>, text: string): Promise<string> {
  return new Promise((resolve) => {
    stack.submit(entryOf(Buffer.from(text, 'utf8')), {
      resolve,
      reject: (error: DelosError) => resolve(`${error.code}: ${text}`),
    })
  })
}

function contentOf(tx: ReadTx, prefix: string): string[] {
  const rows: string[] = []
  for (const [key, value] of tx.scan({ from: '' })) {
    if (key.startsWith(prefix)) rows.push(`${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`)
  }
  return rows
}

// Outside the ranges of engines: the bookkeeping of Base and of other engines counts entries, which an engine may add.
function contentOutside(tx: ReadTx, engines: readonly EngineFactory[]): string[] {
  const inside = [subStorePrefix('base'), ...engines.map((engine) => subStorePrefix(engine.name))]
  const rows: string[] = []
  for (const [key, value] of tx.scan({ from: '' })) {
    if (!inside.some((prefix) => key.startsWith(prefix)))
      rows.push(`${JSON.stringify(key)}=${Buffer.from(value).toString('hex')}`)
  }
  return rows
}

/** A program is a function of its seed, and of the engine's highest level. */
function randomProgram(seed: number, levelMax: number): Program {
  const below = drawsOf(Math.imul(seed, 0x9e3779b1))
  // Apart: with or without levels, all else stays the same.
  const levelBelow = drawsOf(Math.imul(seed, 0x85ebca6b))
  const raised = (): FlagChange & { readonly kind: 'level' } => ({ kind: 'level', level: 1 + levelBelow(levelMax) })
  const steps: Step[] = []
  for (let left = 3 + below(12); left > 0; left--) {
    if (levelMax > 0 && levelBelow(6) === 0) steps.push(raised())
    const draw = below(10)
    if (draw < 2) steps.push({ kind: 'switch', enabled: below(3) > 0 })
    else if (draw === 2) steps.push({ kind: 'sync' })
    else if (draw === 3) steps.push({ kind: 'restart' })
    else {
      const texts = Array.from({ length: 1 + below(12) }, () => `${below(40)}`)
      let meanwhile: FlagChange | undefined
      if (levelMax > 0 && levelBelow(4) === 0) meanwhile = raised()
      if (below(4) === 0) meanwhile = { kind: 'flag', enabled: below(2) > 0 }
      steps.push({ kind: 'propose', texts, meanwhile })
    }
  }
  return steps
}

function drawsOf(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 0x1_0000_0000) * bound)
  }
}
