// One failing disk operation at a time, at every place of the life of a virtual log over files, then a restart: what was
// acknowledged is there, every reconfiguration is either whole or not there, and nothing is left lying about.

import { describe, expect, it } from 'vitest'
import { FailingDisk, type PlannedFailure } from '../../test/support/failing-disk.ts'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import type { Disk } from '../runtime/disk.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { simulate } from '../sim/simulation.ts'
import { LOG_START, type LogPos } from './position.ts'
import { VirtualLog } from './virtual-log.ts'

const FILE = { kind: 'file', params: {} }
const END = Number.MAX_SAFE_INTEGER as LogPos
const LIMITS = { appendLimitMs: 2_000, readLimitMs: 2_000, chainLimitMs: 500, rollForwardMs: 20 }

async function openLog(disk: Disk, { clock, timers, random }: Runtime): Promise<VirtualLog> {
  return VirtualLog.open({
    metastore: await FileMetaStore.open('meta', disk),
    providers: [new FileLogletProvider('log', disk, clock, { segmentBytes: 4096, cacheBytes: 500, reserveBytes: 0 })],
    clock,
    timers,
    random,
    initial: FILE,
    retention: { hours: 0, bytes: 0 },
    ...LIMITS,
  })
}

/** What clients were told. */
interface Told {
  trimmedTo: number
  readonly entries: Map<number, string>
}

async function live(log: VirtualLog, told: Told): Promise<void> {
  for (let i = 0; i < 24; i++) {
    const text = `entry ${i} ${'x'.repeat(i === 9 ? 3000 : 400)}`
    const outcome = await log.append(Buffer.from(text))
    if (outcome.kind === 'appended') told.entries.set(outcome.pos, text)
    if (i % 6 === 5) await log.extend(FILE).catch(() => undefined)
    if (i % 8 !== 7) continue
    told.trimmedTo = Math.max(told.trimmedTo, i - 4)
    await log.prefixTrim((i - 4) as LogPos).catch(() => undefined)
  }
}

async function contentOf(log: VirtualLog): Promise<{ first: number; content: Map<number, string> }> {
  const content = new Map<number, string>()
  const tail = await log.checkTail()
  let first = LOG_START
  for (let at = LOG_START; at < tail; ) {
    const read = await log.readNext(at, END, 2000)
    if (read.trimmedTo !== undefined) first = read.trimmedTo
    for (const { pos, bytes } of read.entries) content.set(pos, Buffer.from(bytes).toString())
    expect(read.next).toBeGreaterThan(at)
    at = read.next
  }
  return { first, content }
}

/** Returns what failed, or undefined if life ended before. */
async function attempt(seed: number, plan: PlannedFailure, end: 'kill' | 'crash'): Promise<string | undefined> {
  return simulate({ seed }, async (world) => {
    const server = world.server('a')
    const first = server.boot()
    for (const directory of ['meta', 'log']) await first.disk.makeDir(directory)
    await first.disk.syncDir('.')
    const disk = new FailingDisk(first.disk, plan)
    const told: Told = { trimmedTo: 0, entries: new Map() }
    const log = await openLog(disk, first).catch(() => undefined)
    if (log) await live(log, told)
    if (end === 'kill') server.kill()
    else server.crash()
    const second = server.boot()
    const again = await openLog(second.disk, second)
    const { first: oldest, content } = await contentOf(again)
    expect(oldest).toBeLessThanOrEqual(told.trimmedTo)
    for (const [pos, text] of told.entries) {
      if (pos >= oldest) expect(content.get(pos), `position ${pos}`).toBe(text)
    }
    expect((await again.append(Buffer.from('again'))).kind).toBe('appended')
    await again.sweepOrphans()
    const homes = (await second.disk.list('log')).sort()
    expect(homes).toEqual(again.chain.segments.map(({ config }) => `loglet-${config.nonce}`).sort())
    await again.close()
    return disk.failed
  })
}

describe('a sweep over files', () => {
  it('leaves alone what no loglet can be named', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const runtime = world.server('a').boot()
      for (const directory of ['meta', 'log', 'log/loglet-kept.bak']) await runtime.disk.makeDir(directory)
      const log = await openLog(runtime.disk, runtime)
      await log.sweepOrphans()
      expect(await runtime.disk.list('log')).toContain('loglet-kept.bak')
      await log.close()
    })
  })
})

describe('the virtual log over files, after any one failure of its disk', () => {
  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    it(`has all that was acknowledged, and takes appends (${code})`, async () => {
      let last = 0
      for (let at = 0; at === last; at++) {
        for (const when of ['before', 'after'] as const) {
          const end = at % 2 === 0 ? 'kill' : 'crash'
          const failed = await attempt(at, { at, when, code }, end).catch((error) => {
            throw new Error(`change ${at} failed ${when} its effect, then ${end}`, { cause: error })
          })
          if (failed !== undefined) last = at + 1
        }
      }
      expect(last).toBeGreaterThan(100)
    })
  }
})
