// One failing disk operation at a time, at every place of a loglet's life, then a restart: what was acknowledged is there,
// and the loglet opens.

import { describe, expect, it } from 'vitest'
import { FailingDisk, type PlannedFailure } from '../../../test/support/failing-disk.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { LogletOffset } from '../../log/position.ts'
import type { Disk } from '../../runtime/disk.ts'
import type { Clock } from '../../runtime/runtime.ts'
import { simulate } from '../../sim/simulation.ts'
import type { FileLoglet } from './file-loglet.ts'
import { FileLogletProvider } from './file-loglet-provider.ts'

const CONFIG = { kind: 'file', params: {}, nonce: 'n1' }
const END = Number.MAX_SAFE_INTEGER as LogletOffset
const OPTIONS = { segmentBytes: 4096, cacheBytes: 500, reserveBytes: 0 }

/** What the clients of a loglet were told. */
class Told {
  created = false
  trimmedTo = 0
  sealed = false
  /** Highest offset acknowledged, and content by offset. */
  readonly entries = new Map<number, string>()
}

const textOf = (i: number) => `entry ${i} ${'x'.repeat(300)}`

async function live(disk: Disk, clock: Clock, told: Told): Promise<void> {
  const provider = new FileLogletProvider('log', disk, clock, OPTIONS)
  const loglet = await provider.create(CONFIG)
  told.created = true
  for (let i = 0; i < 64; i++) {
    const outcome = await loglet.append(Buffer.from(textOf(i)))
    if (outcome.kind === 'appended') told.entries.set(outcome.offset, textOf(i))
    if (i % 16 !== 15) continue
    const to = i - 2
    // Told of the failure or not, what lies below may be gone.
    told.trimmedTo = to
    await loglet.prefixTrim(to as LogletOffset).catch(() => undefined)
  }
  await loglet.seal({ kind: 'file', params: {} }).then(
    () => {
      told.sealed = true
    },
    () => undefined,
  )
}

async function contentOf(loglet: FileLoglet): Promise<Map<number, string>> {
  const content = new Map<number, string>()
  for (let at = loglet.trimPoint; ; ) {
    const read = await loglet.readNext(at, END, 2000)
    for (const { offset, bytes } of read.entries) content.set(offset, Buffer.from(bytes).toString())
    if (read.next === at) return content
    at = read.next
  }
}

/** Returns what failed, or undefined if life ended before. */
async function attempt(seed: number, plan: PlannedFailure, end: 'kill' | 'crash'): Promise<string | undefined> {
  return simulate({ seed }, async (world) => {
    const server = world.server('a')
    const first = server.boot()
    await first.disk.makeDir('log')
    await first.disk.syncDir('.')
    const disk = new FailingDisk(first.disk, plan)
    const told = new Told()
    await live(disk, first.clock, told).catch((error) => {
      expect(told.created, String(error)).toBe(false)
    })
    if (end === 'kill') server.kill()
    else server.crash()
    if (!told.created) return disk.failed
    const { disk: sound, clock } = server.boot()
    const provider = new FileLogletProvider('log', sound, clock, OPTIONS)
    const loglet = await provider.open(CONFIG)
    const content = await contentOf(loglet)
    expect(loglet.trimPoint).toBeLessThanOrEqual(told.trimmedTo)
    for (const [offset, text] of told.entries) {
      if (offset >= loglet.trimPoint) expect(content.get(offset), `offset ${offset}`).toBe(text)
    }
    const { sealed } = await loglet.checkTail()
    if (told.sealed) expect(sealed).toBe(true)
    else if (!sealed) expect((await loglet.append(Buffer.from('again'))).kind).toBe('appended')
    await loglet.close()
    return disk.failed
  })
}

describe('the file loglet after any one failure of its disk', () => {
  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    it(`opens again with all that was acknowledged (${code})`, async () => {
      const failed = new Set<string>()
      for (let at = 0; ; at++) {
        const plans = (['before', 'after'] as const).map((when) => ({ at, when, code }))
        const results: (string | undefined)[] = []
        for (const plan of plans) {
          for (const end of ['kill', 'crash'] as const) {
            const result = await attempt(at, plan, end).catch((error) => {
              throw new Error(`change ${at} failed ${plan.when} its effect, then ${end}`, { cause: error })
            })
            results.push(result)
          }
        }
        if (results.every((result) => result === undefined)) break
        for (const result of results) if (result !== undefined) failed.add(result.split(' ')[0] as string)
      }
      expect([...failed].sort()).toEqual(['create', 'make', 'remove', 'rename', 'sync', 'write'])
    })
  }

  it('never calls a failure that is final a lack of space', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { disk: sound, clock } = world.server('a').boot()
      await sound.makeDir('log')
      const before = new FailingDisk(sound, undefined)
      await new FileLogletProvider('log', before, clock, OPTIONS).create({ ...CONFIG, nonce: 'other' })
      // The write of the first group, then its sync.
      const disk = new FailingDisk(sound, { at: before.changes + 1, when: 'before', code: 'DISK_FULL' })
      const loglet = await new FileLogletProvider('log', disk, clock, OPTIONS).create(CONFIG)
      expect(await loglet.append(Buffer.from('a'))).toMatchObject({ kind: 'indeterminate' })
      expect(disk.failed).toMatch(/^sync .*seg$/)
      expect(await loglet.append(Buffer.from('b'))).toMatchObject({ kind: 'refused', cause: { code: 'IO_ERROR' } })
      await expect(loglet.checkTail()).rejects.toMatchObject({ code: 'IO_ERROR' })
      await loglet.close()
    })
  })
})

/** A disk on which, while `failing`, no file can be created for lack of handles. */
function withoutHandles(disk: Disk): { readonly disk: Disk; failing: boolean } {
  const state = { failing: false }
  const open: Disk['open'] = (path, mode) =>
    state.failing && mode === 'create'
      ? Promise.reject(new DelosError('OVERLOADED', `open ${path}: EMFILE`))
      : disk.open(path, mode)
  const wrapped = new Proxy(disk, {
    get: (target, name) => (name === 'open' ? open : Reflect.get(target, name).bind(target)),
  })
  return Object.assign(state, { disk: wrapped })
}

describe('a file loglet for which the system has no file handle', () => {
  it('refuses appends that need a new segment, and takes them when there is one again', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { disk, clock } = world.server('a').boot()
      const handles = withoutHandles(disk)
      await disk.makeDir('log')
      const loglet = await new FileLogletProvider('log', handles.disk, clock, OPTIONS).create(CONFIG)
      handles.failing = true
      const outcomes: string[] = []
      for (let i = 0; i < 30; i++) {
        const outcome = await loglet.append(Buffer.from(textOf(i)))
        outcomes.push(outcome.kind === 'refused' ? outcome.cause.code : outcome.kind)
      }
      expect([...new Set(outcomes)]).toEqual(['appended', 'OVERLOADED'])
      handles.failing = false
      expect((await loglet.append(Buffer.from('after'))).kind).toBe('appended')
      await loglet.close()
    })
  })
})
