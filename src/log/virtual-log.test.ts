import { describe, expect, it } from 'vitest'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import type { SimRuntime } from '../sim/sim-server.ts'
import { simulate } from '../sim/simulation.ts'
import { LOG_START, type LogPos } from './position.ts'
import type { SharedLog } from './shared-log.ts'
import { VirtualLog } from './virtual-log.ts'

const FILE = { kind: 'file', params: {} }
const END = Number.MAX_SAFE_INTEGER as LogPos

async function openOnFiles(runtime: SimRuntime, segmentBytes = 16 * 1024): Promise<VirtualLog> {
  const { disk, clock, timers, random } = runtime
  await disk.makeDir('db/meta')
  await disk.makeDir('db/log')
  for (const dir of ['.', 'db']) await disk.syncDir(dir)
  const metastore = await FileMetaStore.open('db/meta', disk)
  const providers = [new FileLogletProvider('db/log', disk, clock, { segmentBytes, reserveBytes: 0 })]
  return VirtualLog.open({ metastore, providers, clock, timers, random, initial: FILE })
}

async function readAll(log: SharedLog, from = LOG_START): Promise<string[]> {
  const texts: string[] = []
  let at = from
  for (;;) {
    const read = await log.readNext(at, END, 500)
    if (read.next === at) return texts
    for (const { bytes } of read.entries) texts.push(Buffer.from(bytes).toString())
    at = read.next
  }
}

describe('the virtual log over files', () => {
  it('serves what was appended, across extends and a restart', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const server = world.server('a')
      let log = await openOnFiles(server.boot())
      const expected: string[] = []
      for (let i = 0; i < 300; i++) {
        const outcome = await log.append(Buffer.from(`entry ${i}`))
        expect(outcome).toEqual({ kind: 'appended', pos: i })
        expected.push(`entry ${i}`)
        if (i % 100 === 50) expect((await log.extend(FILE)).kind).toBe('extended')
      }
      expect(log.chain.segments).toHaveLength(4)
      expect(await log.checkTail()).toBe(300)
      expect(await readAll(log)).toEqual(expected)
      await log.close()
      server.crash()
      log = await openOnFiles(server.boot())
      expect(log.knownTail).toBe(300)
      expect(await readAll(log)).toEqual(expected)
      await log.close()
    })
  })
})
