import { describe, expect, it } from 'vitest'
import { DelosError } from '../../base/delos-error.ts'
import type { FlagOutcome } from '../../engine/engine-flags.ts'
import { LeaseHeld } from '../../engine/leased-reads.ts'
import { CALM } from '../../sim/faults.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { HostileService } from '../../sim/workloads/engines/hostile-service.ts'
import { type LeaseLife, LeaseServer } from '../../sim/workloads/lease/lease-server.ts'
import { updateBytes, versionsIn } from '../../sim/workloads/lease/versioned-database.ts'
import { LEASE, type LeaseEngine } from './lease-engine.ts'

const DURATION_MS = 800

interface Cluster {
  readonly world: Simulation
  readonly servers: readonly LeaseServer[]
  /** All serve, all engines are enabled. */
  readonly lives: readonly LeaseLife[]
  readonly seen: number[]
}

/** Servers over a log in calm weather, in virtual time; those whose names are in `wants` take the lease. */
function withCluster(wants: string, body: (cluster: Cluster) => Promise<void>): () => Promise<void> {
  return () =>
    simulate({ seed: 1, faults: CALM }, async (world) => {
      const service = new HostileService(world)
      service.calm = true
      const seen: number[] = []
      const names = ['a', 'b', 'c']
      const servers = names.map(
        (name) =>
          new LeaseServer({
            world,
            service,
            name,
            names,
            lease: { durationMs: DURATION_MS, marginMs: 100, wants: wants.includes(name), address: '' },
            seen: (version) => seen.push(version),
          }),
      )
      const lives: LeaseLife[] = []
      for (const server of servers) lives.push(await server.start())
      await lives[0]?.stack.enable()
      await world.sleep(300)
      await body({ world, servers, lives, seen })
      for (const { machine } of servers) if (machine.running) machine.kill()
    })
}

const leaseOf = ({ stack }: LeaseLife): LeaseEngine => stack.layer(LEASE) as LeaseEngine
const read = (life: LeaseLife): number | undefined => leaseOf(life).tryRead(versionsIn)?.value.version
const holderOf = (lives: readonly LeaseLife[]): string[] =>
  lives.map((life) => leaseOf(life).holder?.serverId ?? 'nobody')

describe('Lease', () => {
  it(
    'has one holder, known to all, which reads its own store without asking the log',
    withCluster('a', async ({ lives }) => {
      const [a, b, c] = lives as [LeaseLife, LeaseLife, LeaseLife]
      expect(holderOf(lives)).toEqual(['a', 'a', 'a'])
      expect(await a.stack.propose(updateBytes(undefined))).toBe(1)
      const { tailChecks } = a.stack.status()
      expect([read(a), read(b), read(c)]).toEqual([1, undefined, undefined])
      expect(await leaseOf(a).read(versionsIn)).toMatchObject({ version: 1 })
      expect(a.stack.status().tailChecks).toBe(tailChecks)
      expect(await leaseOf(b).read(versionsIn)).toMatchObject({ version: 1 })
    }),
  )

  it(
    'rejects what another server proposes, with the address of the holder, also what was on its way when the lease was taken',
    withCluster('', async ({ lives, world }) => {
      const [a, b] = lives as [LeaseLife, LeaseLife]
      expect(await b.stack.propose(updateBytes(undefined))).toBe(1)
      const keeper = (leaseOf(a) as unknown as { keeper: { take(): Promise<boolean> } }).keeper
      const taking = keeper.take()
      const late = b.stack.propose(updateBytes(undefined)).catch((error: unknown) => error)
      expect(await taking).toBe(true)
      const told = await late
      if (told !== 2) {
        expect(told).toBeInstanceOf(LeaseHeld)
        expect(told).toMatchObject({ code: 'LEASE_HELD', retryable: true, holder: { serverId: 'a', address: 'a' } })
      }
      await world.sleep(10)
      await expect(b.stack.propose(updateBytes(undefined))).rejects.toMatchObject({ code: 'LEASE_HELD' })
    }),
  )

  it(
    'lets updates wait while it is taken, so many bytes of them and no more',
    withCluster('', async ({ lives }) => {
      const [a] = lives as [LeaseLife]
      const keeper = (leaseOf(a) as unknown as { keeper: { take(): Promise<boolean> } }).keeper
      const taking = keeper.take()
      const codeOf = (answer: Promise<number>) => answer.then(() => 'none').catch((error: DelosError) => error.code)
      const large = Buffer.alloc(40 * 1024 * 1024)
      const codes = [large, large, updateBytes(undefined)].map((bytes) => codeOf(a.stack.propose(bytes)))
      expect(await codes[1]).toBe('OVERLOADED')
      await taking
      // The first one is too large for the log; the third came while it waited.
      expect(await codes[0]).not.toBe('OVERLOADED')
      expect(await codes[2]).toBe('none')
    }),
  )

  it(
    'a read waits for the holder\u2019s updates that are under way, since others may show them first',
    withCluster('a', async ({ lives }) => {
      const [a] = lives as [LeaseLife]
      const update = a.stack.propose(updateBytes(undefined))
      expect(read(a)).toBeUndefined()
      const found = leaseOf(a).read(versionsIn)
      expect(await update).toBe(1)
      expect(await found).toMatchObject({ version: 1 })
      expect(leaseOf(a).details()).toMatchObject({ readsLeased: 1, readsOther: 0 })
    }),
  )

  it(
    'is taken over once its holder was silent for the whole duration, when that one has long stopped to read by it',
    withCluster('ab', async ({ lives, world }) => {
      const [a, b] = lives as [LeaseLife, LeaseLife]
      const [holder, other] = leaseOf(a).holder?.serverId === 'a' ? [a, b] : [b, a]
      holder.cut.begin()
      const startMs = world.clock.monotonicMs()
      let lastReadMs = 0
      while (read(other) === undefined) {
        if (read(holder) !== undefined) lastReadMs = world.clock.monotonicMs() - startMs
        await world.sleep(1)
      }
      const takenMs = world.clock.monotonicMs() - startMs
      expect(lastReadMs).toBeLessThan(DURATION_MS - 100)
      expect(takenMs).toBeGreaterThan(lastReadMs + 90)
      expect(takenMs).toBeLessThan(DURATION_MS * 1.3)
      expect(await other.stack.propose(updateBytes(undefined))).toBe(1)
      expect(read(holder)).toBeUndefined()
      holder.cut.end()
    }),
  )

  it(
    'a suspended machine reads nothing by it when it wakes, though its monotonic clock stood still',
    withCluster('a', async ({ lives, world }) => {
      const [a] = lives as [LeaseLife]
      expect(read(a)).toBe(0)
      a.clock.suspend()
      a.pause.begin()
      await world.sleep(5_000)
      a.clock.resume()
      expect(read(a)).toBeUndefined()
      expect(leaseOf(a).details()).toMatchObject({ gaveUp: 1 })
      a.pause.end()
      await world.sleep(400)
      expect(read(a)).toBe(0)
    }),
  )

  it(
    'a timer that fires waits for the holder, and for nobody once the lease is released',
    withCluster('a', async ({ lives, seen, world }) => {
      const [a, b] = lives as [LeaseLife, LeaseLife]
      await a.stack.propose(updateBytes(50))
      a.cut.begin()
      await world.sleep(400)
      // Voted for by two of three, and held back.
      expect(leaseOf(b).details()).toMatchObject({ heldBack: 1 })
      expect(new Set(seen)).toEqual(new Set([1]))
      a.cut.end()
      await world.sleep(400)
      expect(leaseOf(b).details()).toMatchObject({ heldBack: 0 })
      expect(new Set(seen)).toEqual(new Set([1, 2]))
    }),
  )

  it(
    'an edit is hidden by other servers until the holder has seen it',
    withCluster('a', async ({ lives, world }) => {
      const [a, b] = lives as [LeaseLife, LeaseLife]
      a.cut.begin()
      const edits = [{ key: 'versioned\x00edited', value: Buffer.from('5') }]
      let shown = false
      const editing = b.doctor
        .edit({ who: 'operator', why: 'a test', edits, forced: false, dryRun: false })
        .then((outcome) => {
          shown = outcome.kind === 'edited' && outcome.shown
        })
      await world.sleep(100)
      expect(versionsIn(b.stack.read()).edited).toBe(5)
      expect([shown, leaseOf(a).tryRead(versionsIn)?.value.edited]).toEqual([false, 0])
      a.cut.end()
      await editing
      expect([shown, leaseOf(a).tryRead(versionsIn)?.value.edited]).toEqual([true, 5])
    }),
  )

  it(
    'an update of which nobody knows the outcome ends reads by that epoch; the holder goes on under another',
    withCluster('a', async ({ lives, world }) => {
      const [a] = lives as [LeaseLife]
      const { epoch } = leaseOf(a).details()
      a.cut.begin()
      const told = a.stack.propose(updateBytes(undefined)).catch((error: unknown) => error)
      await world.sleep(2_500)
      expect(await told).toBeInstanceOf(DelosError)
      a.cut.end()
      await world.sleep(1_000)
      expect(read(a)).toBeDefined()
      expect(leaseOf(a).details().epoch).not.toBe(epoch)
    }),
  )

  it(
    'is released in an orderly end, so that the next takes it at once; a new life of the same server takes its own',
    withCluster('ab', async ({ lives, servers, world }) => {
      const at = leaseOf(lives[0] as LeaseLife).holder?.serverId === 'a' ? 0 : 1
      await lives[at]?.stack.stop()
      await world.sleep(150)
      const other = lives[1 - at] as LeaseLife
      expect(read(other)).toBe(0)
      servers[1 - at]?.machine.kill()
      const again = await (servers[1 - at] as LeaseServer).start()
      await world.sleep(200)
      expect(read(again)).toBe(0)
    }),
  )

  it(
    'is not disabled while it is held: the holder releases it first, and another asks in vain',
    withCluster('a', async ({ lives }) => {
      const [a, b] = lives as [LeaseLife, LeaseLife]
      const off = { kind: 'flag', enabled: false } as const
      expect(await b.stack.change(LEASE, off)).toMatchObject({
        kind: 'refused',
        missing: ['a'],
      } satisfies Partial<FlagOutcome>)
      expect(await a.stack.change(LEASE, off)).toMatchObject({ kind: 'switched', flags: { enabled: false } })
      expect(await b.stack.propose(updateBytes(undefined))).toBe(1)
      expect(read(a)).toBeUndefined()
      await a.stack.change(LEASE, { kind: 'flag', enabled: true })
    }),
  )
})
