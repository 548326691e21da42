import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { logletConformance } from '../../log/loglet.conformance.ts'
import type { LogletEntry } from '../../log/loglet.ts'
import { LOGLET_START, type LogletOffset } from '../../log/position.ts'
import { nodeRuntime } from '../../runtime/node-runtime.ts'
import { faultsWith } from '../../sim/faults.ts'
import type { SimRuntime } from '../../sim/sim-server.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import type { FileLoglet } from './file-loglet.ts'
import { type FileLogletOptions, FileLogletProvider } from './file-loglet-provider.ts'

const framework = { describe, it, expect }
const CONFIG = { kind: 'file', params: {}, nonce: 'n1' }
const SUCCESSOR = { kind: 'file', params: {} }
const END = Number.MAX_SAFE_INTEGER as LogletOffset
const SMALL: FileLogletOptions = { segmentBytes: 8192, cacheBytes: 2000, reserveBytes: 0 }

async function providerOn({ disk, clock }: SimRuntime, options = SMALL): Promise<FileLogletProvider> {
  await disk.makeDir('log')
  await disk.syncDir('.')
  return new FileLogletProvider('log', disk, clock, options)
}

for (const [seed, options] of [SMALL, { reserveBytes: 0 }].entries()) {
  logletConformance(`file on a simulated disk, ${options.segmentBytes ?? 'default'} segments,`, framework, (body) =>
    simulate({ seed }, async (world) => {
      const server = world.server('a')
      const provider = await providerOn(server.boot(), options)
      const crash = async () => {
        server.crash()
        return providerOn(server.boot(), options)
      }
      await body({ provider, params: {}, shared: false, unreliable: false, crash })
    }),
  )
}

logletConformance('file on this disk', framework, async (body) => {
  const directory = await mkdtemp(join(tmpdir(), 'delos-loglet-'))
  const { disk, clock } = nodeRuntime()
  const fresh = () => new FileLogletProvider(directory, disk, clock, SMALL)
  try {
    // Without closing anything, as after SIGKILL.
    await body({ provider: fresh(), params: {}, shared: false, unreliable: false, crash: async () => fresh() })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

async function readAll(loglet: FileLoglet, from = loglet.trimPoint): Promise<LogletEntry[]> {
  const entries: LogletEntry[] = []
  for (let at = from; ; ) {
    const read = await loglet.readNext(at, END, 3000)
    if (read.next === at) return entries
    entries.push(...read.entries)
    at = read.next
  }
}

const textOf = ({ bytes }: LogletEntry) => Buffer.from(bytes).toString()

describe('the file loglet', () => {
  it('puts what waits into one write and one sync', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const provider = await providerOn(world.server('a').boot(), { reserveBytes: 0 })
      const loglet = await provider.create(CONFIG)
      await Promise.all(Array.from({ length: 100 }, (_, i) => loglet.append(Buffer.from(`${i}`))))
      expect(loglet.stats).toMatchObject({ appends: 100, groups: 1, syncs: 1 })
      const first = loglet.append(Buffer.from('a'))
      await Promise.resolve()
      await Promise.resolve()
      const others = Array.from({ length: 50 }, (_, i) => loglet.append(Buffer.from(`${i}`)))
      await Promise.all([first, ...others])
      expect(loglet.stats).toMatchObject({ appends: 151, groups: 3, syncs: 3 })
      await loglet.close()
    })
  })

  it('shows nothing to tail, readers and listeners before it is synced', async () => {
    await simulate(
      { seed: 2, faults: faultsWith({ disk: { syncLatencyMsMin: 100, syncLatencyMsMax: 100 } }) },
      async (world) => {
        const provider = await providerOn(world.server('a').boot())
        const loglet = await provider.create(CONFIG)
        let told = 0
        loglet.onTailMoved(() => told++)
        const appending = loglet.append(Buffer.from('a'))
        await world.sleep(50)
        expect(told).toBe(0)
        expect((await loglet.checkTail()).tail).toBe(0)
        expect((await loglet.readNext(LOGLET_START, END, 100)).entries).toEqual([])
        await appending
        expect(told).toBe(1)
        await loglet.close()
      },
    )
  })

  it('keeps what was acknowledged, in order and once, through crashes at any moment', async () => {
    let tornTails = 0
    let rolls = 0
    for (let seed = 1; seed <= 25; seed++) {
      await simulate({ seed }, async (world) => {
        const stats = await crashRounds(world)
        tornTails += stats.tornTails
        rolls += stats.segments
      })
    }
    // Reached at all: how often depends on the seeds.
    expect(tornTails).toBeGreaterThan(0)
    expect(rolls).toBeGreaterThan(0)
  })

  it('never lets a cut group come back behind what is written in its place', async () => {
    await simulate({ seed: 2 }, async (world) => {
      const runtime = world.server('a').boot()
      const provider = await providerOn(runtime)
      let loglet = await provider.create(CONFIG)
      await loglet.append(Buffer.from('base'))
      await Promise.all(['a', 'b', 'c'].map((text) => loglet.append(Buffer.from(text))))
      await loglet.close()
      const file = await runtime.disk.open('log/loglet-n1/00000001.seg', 'update')
      await file.write(Buffer.from('X'), 48 + 32 + 24)
      loglet = await provider.open(CONFIG)
      expect(loglet.stats.cutBytes).toBeGreaterThan(0)
      await loglet.append(Buffer.from('d'))
      await loglet.close()
      loglet = await provider.open(CONFIG)
      expect((await readAll(loglet)).map(textOf)).toEqual(['base', 'd'])
      await loglet.close()
    })
  })

  it('never brings back what it refused for lack of space', async () => {
    let refused = 0
    for (let seed = 1; seed <= 20; seed++) {
      await simulate({ seed, faults: faultsWith({ disk: { capacityBytes: 5 * 4096 } }) }, async (world) => {
        const server = world.server('a')
        const runtime = server.boot()
        const provider = await providerOn(runtime)
        const ballast = await runtime.disk.open('ballast', 'create')
        await ballast.write(Buffer.alloc(3 * 4096, 1), 0)
        const loglet = await provider.create(CONFIG)
        const texts = Array.from({ length: 20 }, (_, i) => `${String(i).padStart(2)} ${'q'.repeat(280)}`)
        const outcomes = await Promise.all(texts.map((text) => loglet.append(Buffer.from(text))))
        const expected = texts.filter((_, i) => outcomes[i]?.kind === 'appended')
        refused += texts.length - expected.length
        await runtime.disk.remove('ballast')
        await ballast.close()
        await world.sleep(200)
        const last = `99 ${'q'.repeat(280)}`
        expect((await loglet.append(Buffer.from(last))).kind).toBe('appended')
        server.kill()
        const again = await (await providerOn(server.boot())).open(CONFIG)
        expect((await readAll(again)).map(textOf)).toEqual([...expected, last])
      })
    }
    expect(refused).toBeGreaterThan(100)
  })

  it('is a whole log after a crash amid trimming', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        const loglet = await (await providerOn(server.boot())).create(CONFIG)
        for (let i = 0; i < 100; i++) await loglet.append(Buffer.from(`${i} ${'p'.repeat(800)}`))
        loglet.prefixTrim(END).catch(() => undefined)
        await world.sleep(world.random.fraction() * 15)
        server.crash()
        const again = await (await providerOn(server.boot())).open(CONFIG)
        const numbers = (await readAll(again)).map((entry) => Number(textOf(entry).split(' ')[0]))
        expect(numbers).toEqual(Array.from({ length: 100 - again.trimPoint }, (_, i) => again.trimPoint + i))
      })
    }
  })

  it('refuses damage that a later group proves, with file and byte, and cuts nothing', async () => {
    await simulate({ seed: 3 }, async (world) => {
      const server = world.server('a')
      const runtime = server.boot()
      const provider = await providerOn(runtime)
      const loglet = await provider.create(CONFIG)
      for (let i = 0; i < 10; i++) await loglet.append(Buffer.from(`entry ${i}`))
      await loglet.close()
      const path = 'log/loglet-n1/00000001.seg'
      const file = await runtime.disk.open(path, 'update')
      const sizeBefore = await file.size()
      await file.write(Buffer.from('X'), 48 + 3 * 32 + 26)
      await expect(provider.open(CONFIG)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(`${path}: damaged at byte ${48 + 3 * 32}`),
      })
      await file.write(Buffer.from('e'), 48 + 3 * 32 + 26)
      expect(await file.size()).toBe(sizeBefore)
      await file.write(Buffer.from([0x80]), 48 + 3 * 32 + 3)
      await expect(provider.open(CONFIG)).rejects.toMatchObject({ code: 'CORRUPT' })
    })
  })

  it('refuses damage in an older segment when it is read', async () => {
    await simulate({ seed: 4 }, async (world) => {
      const runtime = world.server('a').boot()
      const provider = await providerOn(runtime)
      let loglet = await provider.create(CONFIG)
      for (let i = 0; i < 100; i++) await loglet.append(Buffer.from(`entry ${i} ${'v'.repeat(300)}`))
      await loglet.close()
      const path = 'log/loglet-n1/00000002.seg'
      const file = await runtime.disk.open(path, 'update')
      await file.write(Buffer.from('X'), 1000)
      loglet = await provider.open(CONFIG)
      await expect(readAll(loglet)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(path) })
      await loglet.close()
    })
  })

  it('refuses a missing segment and a damaged header', async () => {
    await simulate({ seed: 5 }, async (world) => {
      const runtime = world.server('a').boot()
      const provider = await providerOn(runtime)
      const loglet = await provider.create(CONFIG)
      for (let i = 0; i < 100; i++) await loglet.append(Buffer.from(`entry ${i} ${'v'.repeat(300)}`))
      await loglet.close()
      const { disk } = runtime
      await disk.rename('log/loglet-n1/00000003.seg', 'aside')
      await expect(provider.open(CONFIG)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining('missing'),
      })
      await disk.rename('aside', 'log/loglet-n1/00000003.seg')
      const last = (await disk.list('log/loglet-n1')).filter((name) => name.endsWith('.seg')).pop()
      for (const name of ['00000001.seg', '00000003.seg']) {
        const file = await disk.open(`log/loglet-n1/${name}`, 'update')
        await file.write(Buffer.from('X'), 9)
        await expect(provider.open(CONFIG), name).rejects.toMatchObject({ code: 'CORRUPT' })
        const header = Buffer.alloc(12)
        await file.read(header, 0)
        await file.write(Buffer.from([(header[9] as number) ^ 0]), 9)
        await file.close()
      }
      expect(last).toBeDefined()
    })
  })

  it('stops for good when a sync fails: waiting appends are indeterminate, later ones refused, reads go on', async () => {
    const calm = faultsWith({})
    await simulate({ seed: 6 }, async (world) => {
      const provider = await providerOn(world.server('a').boot())
      const loglet = await provider.create(CONFIG)
      await loglet.append(Buffer.from('safe'))
      world.faults = faultsWith({ disk: { syncFailureProbability: 1 } })
      const waiting = [loglet.append(Buffer.from('a')), loglet.append(Buffer.from('b'))]
      for (const outcome of await Promise.all(waiting)) expect(outcome.kind).toBe('indeterminate')
      world.faults = calm
      expect(await loglet.append(Buffer.from('c'))).toMatchObject({ kind: 'refused', cause: { code: 'IO_ERROR' } })
      await expect(loglet.checkTail()).rejects.toMatchObject({ code: 'IO_ERROR' })
      await expect(loglet.seal(SUCCESSOR)).rejects.toMatchObject({ code: 'IO_ERROR' })
      expect((await readAll(loglet)).map(textOf)).toEqual(['safe'])
      await loglet.close()
      const again = await provider.open(CONFIG)
      expect((await readAll(again)).map(textOf)[0]).toBe('safe')
      await again.close()
    })
  })

  it('serves after a failed sync and the death of the process only what also outlives the machine', async () => {
    let served = 0
    for (let seed = 1; seed <= 40; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        const calm = world.faults
        const loglet = await (await providerOn(server.boot())).create(CONFIG)
        await loglet.append(Buffer.from('safe'))
        world.faults = faultsWith({ disk: { syncFailureProbability: 1 } })
        const texts = Array.from({ length: 8 }, (_, i) => `${i} ${'f'.repeat(400)}`)
        await Promise.all(texts.map((text) => loglet.append(Buffer.from(text))))
        server.kill()
        world.faults = calm
        const seen = (await readAll(await (await providerOn(server.boot())).open(CONFIG))).map(textOf)
        served += seen.length - 1
        server.crash()
        const kept = (await readAll(await (await providerOn(server.boot())).open(CONFIG))).map(textOf)
        expect(kept).toEqual(seen)
      })
    }
    expect(served).toBeGreaterThan(0)
  })

  it('refuses appends on a full disk, goes on reading, and recovers by itself', async () => {
    await simulate({ seed: 7, faults: faultsWith({ disk: { capacityBytes: 40_000 } }) }, async (world) => {
      const server = world.server('a')
      const provider = await providerOn(server.boot())
      const loglet = await provider.create(CONFIG)
      const appended: string[] = []
      let refused = 0
      for (let i = 0; i < 300; i++) {
        const outcome = await loglet.append(Buffer.from(`entry ${i} ${'u'.repeat(200)}`))
        if (outcome.kind === 'appended') appended.push(`entry ${i}`)
        else {
          expect(outcome).toMatchObject({ kind: 'refused', cause: { code: 'DISK_FULL' } })
          refused++
        }
      }
      expect(refused).toBeGreaterThan(50)
      const texts = () => readAll(loglet).then((entries) => entries.map((entry) => textOf(entry).split(' u')[0]))
      expect(await texts()).toEqual(appended)
      await loglet.prefixTrim(60 as LogletOffset)
      await world.sleep(200)
      const outcome = await loglet.append(Buffer.from('after'))
      expect(outcome.kind).toBe('appended')
      const kept = [...appended.slice(loglet.trimPoint), 'after']
      expect(await texts()).toEqual(kept)
      await loglet.close()
      server.crash()
      const again = await (await providerOn(server.boot())).open(CONFIG)
      expect((await readAll(again)).map((entry) => textOf(entry).split(' u')[0])).toEqual(kept)
    })
  })

  it('refuses appends below the reserve of free bytes, but can still be sealed', async () => {
    await simulate({ seed: 8, faults: faultsWith({ disk: { capacityBytes: 1_000_000 } }) }, async (world) => {
      const { disk, clock } = world.server('a').boot()
      await disk.makeDir('log')
      const provider = new FileLogletProvider('log', disk, clock, { ...SMALL, reserveBytes: 2_000_000 })
      const loglet = await provider.create(CONFIG)
      expect(await loglet.append(Buffer.from('a'))).toMatchObject({ kind: 'refused', cause: { code: 'DISK_FULL' } })
      expect(loglet.diskFull).toBe(true)
      expect((await loglet.seal(SUCCESSOR)).sealed).toBe(true)
      await loglet.close()
    })
  })

  it('frees disk space when it is trimmed, oldest file first', async () => {
    await simulate({ seed: 9 }, async (world) => {
      const runtime = world.server('a').boot()
      const loglet = await (await providerOn(runtime)).create(CONFIG)
      for (let i = 0; i < 200; i++) await loglet.append(Buffer.from(`entry ${i} ${'s'.repeat(300)}`))
      const before = await runtime.disk.list('log/loglet-n1')
      await loglet.prefixTrim(150 as LogletOffset)
      const after = await runtime.disk.list('log/loglet-n1')
      expect(before.length - after.length).toBeGreaterThan(5)
      expect(loglet.trimPoint).toBeGreaterThan(100)
      expect(loglet.marks()[0]?.offset).toBe(loglet.trimPoint)
      await loglet.close()
    })
  })

  it('sweeps what a crash left of creating and destroying', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      await simulate({ seed }, async (world) => {
        const server = world.server('a')
        let provider = await providerOn(server.boot())
        const loglet = await provider.create(CONFIG)
        await loglet.append(Buffer.from('a'))
        const work = [provider.create({ ...CONFIG, nonce: 'n2' }), provider.destroy(CONFIG)]
        for (const one of work) one.catch(() => undefined)
        await world.sleep(world.random.fraction() * 4)
        server.crash()
        provider = await providerOn(server.boot())
        for (const config of await provider.list()) await provider.destroy(config)
        expect(await provider.list()).toEqual([])
        const again = await provider.create(CONFIG)
        expect((await again.checkTail()).tail).toBe(0)
      })
    }
  })
})

/** Appends, crashes or kills at a random moment, recovers, compares: eight times over. */
async function crashRounds(world: Simulation): Promise<{ tornTails: number; segments: number }> {
  const server = world.server('a')
  let loglet = await (await providerOn(server.boot())).create(CONFIG)
  const acknowledged = new Map<number, string>()
  let tornTails = 0
  for (let round = 0; round < 8; round++) {
    const lost: string[] = []
    const sizes = () => world.random.below(world.random.chance(0.1) ? 1500 : 200)
    const appender = async (id: number) => {
      for (let i = 0; i < 40; i++) {
        const text = `${round}.${id}.${i} ${'r'.repeat(sizes())}`
        const outcome = await loglet.append(Buffer.from(text))
        if (outcome.kind !== 'appended') return lost.push(text)
        acknowledged.set(outcome.offset, text)
      }
      return 0
    }
    const appenders = [1, 2, 3, 4, 5, 6].map(appender)
    await world.sleep(world.random.fraction() * 30)
    let served: LogletEntry[] = []
    if (world.random.chance(0.4)) {
      // The process dies first: what the next one serves must outlive the machine.
      server.kill()
      await Promise.all(appenders)
      served = await readAll(await (await providerOn(server.boot())).open(CONFIG))
    }
    server.crash()
    await Promise.all(appenders)
    loglet = await (await providerOn(server.boot())).open(CONFIG)
    if (loglet.stats.cutBytes > 0) tornTails++
    const stored = await readAll(loglet)
    const { tail } = await loglet.checkTail()
    expect(stored.map(({ offset }) => offset)).toEqual(Array.from({ length: tail }, (_, i) => i))
    for (const [offset, text] of acknowledged) expect(textOf(stored[offset] as LogletEntry)).toBe(text)
    expect(stored.slice(0, served.length).map(textOf)).toEqual(served.map(textOf))
    expect(new Set(stored.map(textOf)).size).toBe(stored.length)
  }
  const segments = (await server.runtime.disk.list('log/loglet-n1')).length - 2
  return { tornTails, segments }
}
