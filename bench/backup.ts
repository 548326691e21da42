// What continuous backup costs: a server with it and one without, both through real sockets, loaded in turn with as many sets as they
// take; and that several times with fresh servers, since two that are alike differ by several percent from start to start.
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildGenerator, runLoad } from './load.ts'
import { isInMemory } from './machine.ts'
import { paths } from './paths.ts'
import { createPeers, type Server, useServer } from './peers.ts'
import { BenchFailure, discard, scratchDirectory } from './processes.ts'
import { writePart } from './results-file.ts'
import { median, medianWithin, type Spread } from './statistics.ts'
import { UsageError } from './usage-error.ts'
import type { Workload } from './workloads.ts'
import { warnIfStale } from './zookeeper.ts'

export const USAGE = `npm run bench -- backup [flags]

  --check              exit 1 if throughput under continuous backup is below 90 % of that without
  --quick              2 starts of servers, 3 rounds of 1 s each, instead of 6 with 2 of 2 s: under 1 minute instead of under 3
  --write              write the part of backups in bench/RESULTS.md
  --work-dir DIR       where servers keep their data (build/); must be on a real disk
`

const FLOOR = 0.9
/** Of what a turn's log comes to in the backup, this part at least must be there when the turn ends: the rest is an interval old. */
const IN_TIME_FLOOR = 0.6
const SETS: Workload = { operation: 'set', connections: 10, window: 100 }
const KEYS = 10_000
/** Besides the second that the generator does not count. */
const WARM_SECONDS = 2
/** Backed up is what was applied so long ago: it need not be a whole segment. */
const INTERVAL_MS = 500

type Rounds = {
  /** Starts of both servers, and rounds with each. */
  readonly starts: number
  readonly rounds: number
  readonly seconds: number
}

type BackupFigures = Rounds & {
  /** Sets a second, by round. */
  readonly without: readonly number[]
  readonly with: readonly number[]
  /** Of the rounds' ratios. */
  readonly ratio: Spread
  /** Of the turns that were measured; and how much of it before each turn's end. */
  readonly backedUpBytes: number
  readonly inTimeShare: number
  readonly floor: number
  readonly holds: boolean
}

/** Returns the exit code: 0, or 1 if `--check` was given and the floor does not hold. */
export async function benchBackup(args: readonly string[]): Promise<number> {
  const { check, workDirectory, write, ...rounds } = parsed(args)
  warnIfStale()
  const directory = scratchDirectory(workDirectory, 'bench')
  if (isInMemory(directory)) {
    throw new BenchFailure(`${workDirectory} is in memory, where a sync costs nothing: --work-dir`)
  }
  const figures = await measure(directory, rounds)
  discard(directory)
  const text = forPeople(figures)
  process.stdout.write(`${text}\n`)
  if (write) writePart(paths.results, 'backup', `## Continuous backup\n\n${text}`)
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  return check && !figures.holds ? 1 : 0
}

function parsed(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  const options = { check: flag, quick: flag, write: flag, 'work-dir': { type: 'string' } } as const
  try {
    const { values } = parseArgs({ args: [...args], options })
    return {
      check: values.check,
      write: values.write,
      starts: values.quick ? 2 : 6,
      rounds: values.quick ? 3 : 2,
      seconds: values.quick ? 1 : 2,
      workDirectory: resolve(values['work-dir'] ?? paths.build),
    }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function measure(directory: string, rounds: Rounds): Promise<BackupFigures> {
  const generator = await buildGenerator()
  const { delos: start } = createPeers({ server: paths.server, zookeeperClasspath: '' })
  const sums = { with: [] as number[], without: [] as number[] }
  const uploads = { inTime: 0, all: 0 }
  const sets = async ({ address }: Server, counted: number): Promise<number> =>
    (await runLoad(generator, address, { workload: SETS, seconds: counted, keys: KEYS })).opsPerSecond
  for (let number = 0; number < rounds.starts; number++) {
    const place = join(directory, `backup-${number}`)
    const flags = ['--backup-to', `dir:${place}`, '--backup-interval-ms', String(INTERVAL_MS)]
    const run = async (backedUp: Server, plain: Server): Promise<void> => {
      for (const server of turned(number, [backedUp, plain])) await sets(server, WARM_SECONDS)
      await settled(place)
      for (let round = 0; round < rounds.rounds; round++) {
        const turns = [
          async () => {
            const before = uploadedBytes(place)
            sums.with.push(await sets(backedUp, rounds.seconds))
            uploads.inTime += uploadedBytes(place) - before
            // The rest is uploaded before the other server's turn, which it would slow down.
            await settled(place)
            uploads.all += uploadedBytes(place) - before
          },
          async () => {
            sums.without.push(await sets(plain, rounds.seconds))
          },
        ]
        for (const turn of turned(number + round, turns)) await turn()
        process.stderr.write(
          `bench: start ${number + 1} of ${rounds.starts}, round ${round + 1} of ${rounds.rounds}: ${sums.with.at(-1)?.toFixed(0)} sets/s with backup, ${sums.without.at(-1)?.toFixed(0)} without\n`,
        )
      }
    }
    const both = [
      { flags, isBackedUp: true },
      { flags: [], isBackedUp: false },
    ] as const
    const [one, other] = number % 2 === 0 ? both : both.toReversed()
    if (one === undefined || other === undefined) throw new Error('there are two servers')
    await useServer(start, { parent: directory, wrapper: [], flags: one.flags }, (first) =>
      useServer(start, { parent: directory, wrapper: [], flags: other.flags }, (second) =>
        one.isBackedUp ? run(first, second) : run(second, first),
      ),
    )
    discard(place)
  }
  const ratio = medianWithin(sums.with.map((value, round) => value / (sums.without[round] as number)))
  const inTimeShare = uploads.all === 0 ? 0 : uploads.inTime / uploads.all
  const holds = ratio.median >= FLOOR && inTimeShare >= IN_TIME_FLOOR
  return { ...rounds, ...sums, ratio, backedUpBytes: uploads.all, inTimeShare, floor: FLOOR, holds }
}

/** Whoever went first goes second the next time, so that a drift of the machine favours neither. */
function turned<T>(time: number, all: readonly T[]): readonly T[] {
  return time % 2 === 0 ? all : all.toReversed()
}

/** Nothing was uploaded for longer than an interval. */
async function settled(directory: string): Promise<void> {
  for (let before = -1, now = uploadedBytes(directory); before !== now; now = uploadedBytes(directory)) {
    before = now
    await delay(2 * INTERVAL_MS)
  }
}

function uploadedBytes(directory: string): number {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  // What is being written has another name, and may have its own by the time that it is looked at.
  const blobs = files.filter(({ name }) => !name.endsWith('.tmp'))
  return blobs.reduce((sum, { name, parentPath }) => sum + sizeOf(join(parentPath, name)), 0)
}

function forPeople(figures: BackupFigures): string {
  const { backedUpBytes, floor, holds, inTimeShare, ratio, rounds, starts, with: backedUp, without } = figures
  const shown = (values: readonly number[]): string => `${Math.round(median(values) / 1000)} k`
  const within = `${ratio.median.toFixed(3)} (${ratio.min.toFixed(3)} to ${ratio.max.toFixed(3)})`
  return [
    `${shown(backedUp)} sets/s under continuous backup to a directory, ${shown(without)} without (100 B, 10 connections with 100 in flight each).`,
    `Ratio, median of ${starts} starts of both servers with ${rounds} rounds each, and where the true one lies 19 times of 20: ${within}; floor ${floor}: ${holds ? 'holds' : 'DOES NOT HOLD'}. ${Math.round(backedUpBytes / 1e6)} MB were uploaded, compressed, ${Math.round(100 * inTimeShare)} % of it within the measured seconds.`,
  ].join('\n')
}
