import { describe, expect, it } from 'vitest'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { simulate } from '../sim/simulation.ts'
import type { Loglet, LogletConfig, LogletProvider } from './loglet.ts'
import { VirtualLog } from './virtual-log.ts'

const RECIPE = { kind: 'memory', params: {} }

/** Calls `opened` between the opening of a loglet and its first use. */
function interrupted(inner: LogletProvider, opened: () => Promise<void>): LogletProvider {
  return {
    kind: inner.kind,
    create: (config) => inner.create(config),
    open: async (config: LogletConfig): Promise<Loglet> => {
      const loglet = await inner.open(config)
      await opened()
      return loglet
    },
    destroy: (config) => inner.destroy(config),
    list: () => inner.list(),
  }
}

describe('opening a log', () => {
  it('goes on in the loglet that somebody else puts in the place of the one being opened', async () => {
    await simulate({ seed: 1 }, async ({ clock, random, timers }) => {
      const provider = new MemoryLogletProvider()
      const register = new MemoryRegister()
      const open = (loglets: LogletProvider) => {
        const metastore = new MemoryMetaStore(register)
        return VirtualLog.open({ metastore, providers: [loglets], clock, timers, random, initial: RECIPE })
      }
      const one = await open(provider)
      let reconfigurations = 2
      // An empty loglet is replaced, and destroyed.
      const other = await open(
        interrupted(provider, async () => {
          if (reconfigurations-- > 0) await one.extend(RECIPE)
        }),
      )
      expect(reconfigurations).toBeLessThan(0)
      expect(await other.append(Buffer.from('entry'))).toEqual({ kind: 'appended', pos: 0 })
      expect(other.chain).toEqual(one.chain)
    })
  })
})
