import { describe, expect, it } from 'vitest'
import type { TestFramework } from '../../base/test-framework.ts'
import { type LogletWorld, logletConformance } from '../../log/loglet.conformance.ts'
import type { LogletAppendOutcome, LogletConfig, LogletRecipe, LogletTail } from '../../log/loglet.ts'
import type { LogletOffset } from '../../log/position.ts'
import { simulate } from '../../sim/simulation.ts'
import { HostileLogletProvider } from './hostile-loglet-provider.ts'
import { MemoryLog, MemoryLoglet } from './memory-loglet.ts'
import { MemoryLogletProvider } from './memory-loglet-provider.ts'

const framework: TestFramework = { describe, it, expect }

logletConformance('memory', framework, (body) =>
  body({ provider: new MemoryLogletProvider(), params: {}, shared: true, unreliable: false }),
)

for (const seed of [1, 2, 3]) {
  logletConformance(`memory, sparse, hostile, seed ${seed},`, framework, (body) =>
    simulate({ seed }, async ({ random, timers }) => {
      const inner = new MemoryLogletProvider({ gap: () => random.uint32() % 3, zombies: true })
      const provider = new HostileLogletProvider(inner, { random, timers, indeterminateRate: 0.1, duplicateRate: 0.1 })
      await body({ provider, params: {}, shared: true, unreliable: true })
    }),
  )
}

/** A loglet in two steps, as a remote one is: the log and the seal are looked at one after the other. */
class TwoStepLoglet extends MemoryLoglet {
  private readonly shared: MemoryLog
  private readonly faults: { readonly appendLooksFirst: boolean; readonly tailLooksFirst: boolean }
  private readonly pause: () => Promise<void>

  constructor(log: MemoryLog, faults: TwoStepLoglet['faults'], pause: () => Promise<void>) {
    super(log)
    this.shared = log
    this.faults = faults
    this.pause = pause
  }

  override async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    const { shared } = this
    const sealedBefore = shared.successor !== undefined
    if (this.faults.appendLooksFirst) await this.pause()
    const offset = shared.physicalEnd++ as LogletOffset
    shared.entries.push({ offset, bytes })
    if (!shared.successor) shared.tail = (offset + 1) as LogletOffset
    if (!this.faults.appendLooksFirst) await this.pause()
    const sealed = this.faults.appendLooksFirst ? sealedBefore : shared.successor && offset >= shared.tail
    return sealed ? { kind: 'sealed' } : { kind: 'appended', offset }
  }

  override async checkTail(): Promise<LogletTail> {
    const { shared } = this
    if (this.faults.tailLooksFirst) {
      if (shared.successor) return shared.checkTail()
      await this.pause()
      return { tail: shared.physicalEnd as LogletOffset, sealed: false }
    }
    const tail = shared.physicalEnd as LogletOffset
    await this.pause()
    return shared.successor ? shared.checkTail() : { tail, sealed: false }
  }

  override async seal(successor: LogletRecipe): Promise<LogletTail> {
    await this.pause()
    return this.shared.seal(successor)
  }
}

class TwoStepProvider extends MemoryLogletProvider {
  private readonly made = new Map<string, MemoryLog>()
  private readonly faults: { readonly appendLooksFirst: boolean; readonly tailLooksFirst: boolean }
  private hops = 1

  constructor(faults: TwoStepProvider['faults']) {
    super()
    this.faults = faults
  }

  override async create(config: LogletConfig): Promise<MemoryLoglet> {
    const options = { maxEntryBytes: 100, gap: () => 0, zombies: true, wallMs: () => 0 }
    this.made.set(config.nonce, new MemoryLog(config, options))
    return this.open(config)
  }

  override async open(config: LogletConfig): Promise<MemoryLoglet> {
    const pause = async () => {
      this.hops = (this.hops * 7 + 3) % 17
      for (let i = 0; i < this.hops; i++) await Promise.resolve()
    }
    return new TwoStepLoglet(this.made.get(config.nonce) as MemoryLog, this.faults, pause)
  }
}

describe('the loglet suite', () => {
  const orderRule = async (faults: { appendLooksFirst: boolean; tailLooksFirst: boolean }) => {
    const cases = new Map<string, () => Promise<void> | void>()
    const collecting: TestFramework = {
      describe: (_, body) => body(),
      it: (name, body) => cases.set(name, body),
      expect,
    }
    const world: LogletWorld = (body) =>
      body({ provider: new TwoStepProvider(faults), params: {}, shared: true, unreliable: false })
    logletConformance('two steps', collecting, world)
    const name = [...cases.keys()].find((sentence) => sentence.startsWith('the order rule'))
    await cases.get(name as string)?.()
  }

  it('passes a loglet that writes before it looks at the seal, and reads the tail before it looks at the seal', async () => {
    await orderRule({ appendLooksFirst: false, tailLooksFirst: false })
  })

  it('catches an append that looks at the seal first', async () => {
    await expect(orderRule({ appendLooksFirst: true, tailLooksFirst: false })).rejects.toThrow('acknowledged at')
  })

  it('catches a tail check that looks at the seal first', async () => {
    await expect(orderRule({ appendLooksFirst: false, tailLooksFirst: true })).rejects.toThrow('past the sealed tail')
  })
})
