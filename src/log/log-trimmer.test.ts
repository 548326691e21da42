import { describe, expect, it } from 'vitest'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { simulate } from '../sim/simulation.ts'
import type { LogPos } from './position.ts'
import { VirtualLog } from './virtual-log.ts'

const RECIPE = { kind: 'memory', params: {} }

describe('trimming', () => {
  it('goes on in the chain of another server that has dropped the same segments first', async () => {
    await simulate({ seed: 1 }, async ({ clock, random, timers }) => {
      const provider = new MemoryLogletProvider()
      const register = new MemoryRegister()
      const retention = { hours: 0, bytes: 0 }
      const open = () => {
        const metastore = new MemoryMetaStore(register)
        return VirtualLog.open({ metastore, providers: [provider], clock, timers, random, initial: RECIPE, retention })
      }
      const one = await open()
      for (let i = 0; i < 30; i++) {
        await one.append(Buffer.from(`entry ${i}`))
        if (i % 10 === 9) await one.extend(RECIPE)
      }
      const other = await open()
      await one.prefixTrim(20 as LogPos)
      expect(one.chain.segments).toHaveLength(2)
      expect(other.chain.segments).toHaveLength(4)
      await other.prefixTrim(25 as LogPos)
      expect(other.chain.segments).toHaveLength(2)
      expect(other.chain.segments[0]?.start).toBe(20)
    })
  })
})
