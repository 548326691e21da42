import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import type { StackStatus } from '../engine/stack.ts'
import { SILENT_LOGGER } from '../runtime/logger.ts'
import { enableNewEngines } from './enabled-engines.ts'

const KEY = 'node/engines-enabled'

/** A database that was here before if `record` is given. */
class Directory {
  record: Uint8Array | undefined
  readonly enabled = new Set<string>()
  readonly asked: string[][] = []
  /** Another member lacks it. */
  unknown: string | undefined

  async start(...engines: string[]): Promise<void> {
    const { enabled } = this
    await enableNewEngines({
      database: 'zelos',
      engines,
      logger: SILENT_LOGGER,
      stack: {
        enable: async (names = engines) => {
          this.asked.push([...names])
          for (const name of names) {
            if (name === this.unknown) throw new DelosError('CONFLICT', name)
            enabled.add(name)
          }
        },
        status: () =>
          ({ engines: engines.map((name) => ({ name, enabled: enabled.has(name) })) }) as unknown as StackStatus,
      },
      store: {
        local: {
          get: (key) => (key === KEY ? this.record : undefined),
          put: async (_key, value) => {
            this.record = value
          },
        },
      },
    })
  }
}

describe('the engines of a stack', () => {
  it('are all enabled in a new directory, once', async () => {
    const directory = new Directory()
    await directory.start('batching', 'time')
    await directory.start('batching', 'time')
    expect(directory.asked).toEqual([['batching', 'time']])
  })

  it('that are new are enabled in an old directory, and what an operator has disabled stays disabled', async () => {
    const directory = new Directory()
    directory.record = new Uint8Array(0)
    await directory.start('view-tracking', 'batching', 'time')
    expect(directory.asked).toEqual([['view-tracking', 'time']])
    directory.enabled.delete('time')
    await directory.start('view-tracking', 'batching', 'time')
    await directory.start('view-tracking', 'batching', 'time', 'lease')
    expect(directory.asked.slice(1)).toEqual([['lease']])
    expect([...directory.enabled]).toEqual(['view-tracking', 'lease'])
  })

  it('that another member does not know yet are tried again at the next start, and the others are not', async () => {
    const directory = new Directory()
    directory.record = Buffer.from('batching')
    directory.unknown = 'time'
    await directory.start('view-tracking', 'batching', 'time')
    expect([...directory.enabled]).toEqual(['view-tracking'])
    directory.unknown = undefined
    await directory.start('view-tracking', 'batching', 'time')
    expect(directory.asked).toEqual([['view-tracking', 'time'], ['time']])
  })

  it('that can not be enabled in a new directory fail its start', async () => {
    const directory = new Directory()
    directory.unknown = 'time'
    await expect(directory.start('batching', 'time')).rejects.toMatchObject({ code: 'CONFLICT' })
  })
})
