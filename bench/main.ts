// `npm run bench -- NAME [flags]`: finds the benchmark and turns its outcome into an exit code: 0 done, 1 failed or a
// floor does not hold, 2 usage. The last line of stdout is JSON; progress and problems go to stderr.
import { USAGE as BACKUP_USAGE, benchBackup } from './backup.ts'
import { benchEngines, USAGE as ENGINES_USAGE } from './engines.ts'
import { benchLease, USAGE as LEASE_USAGE } from './lease.ts'
import { BenchFailure, cleanUpOnExit } from './processes.ts'
import { benchTable, USAGE as TABLE_USAGE } from './table.ts'
import { UsageError } from './usage-error.ts'
import { benchZookeeper } from './zookeeper.ts'
import { USAGE as ZOOKEEPER_USAGE } from './zookeeper-options.ts'

type Benchmark = {
  readonly summary: string
  readonly usage: string
  /** Gets what follows the name; returns the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>
}

const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ['zookeeper', { summary: 'one server beside a real ZooKeeper 3.8', usage: ZOOKEEPER_USAGE, run: benchZookeeper }],
  ['table', { summary: 'tables in one process', usage: TABLE_USAGE, run: benchTable }],
  ['lease', { summary: 'reads by the lease beside reads by the log', usage: LEASE_USAGE, run: benchLease }],
  ['backup', { summary: 'what continuous backup costs', usage: BACKUP_USAGE, run: benchBackup }],
  ['engines', { summary: 'what the engines cost and bring', usage: ENGINES_USAGE, run: benchEngines }],
])

function overview(): string {
  const lines = [...BENCHMARKS].map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  return `npm run bench -- NAME [flags]; NAME is one of\n${lines.join('\n')}\nNAME --help lists the flags.\n`
}

async function main(name: string | undefined, args: readonly string[]): Promise<number> {
  const benchmark = BENCHMARKS.get(name ?? '')
  if (benchmark === undefined) {
    process.stderr.write(`${name === undefined ? '' : `bench: there is no benchmark ${name}\n`}${overview()}`)
    return 2
  }
  if (args.includes('--help')) {
    process.stdout.write(benchmark.usage)
    return 0
  }
  cleanUpOnExit()
  try {
    return await benchmark.run(args)
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`bench: ${error.message}\n\n${benchmark.usage}`)
      return 2
    }
    process.stderr.write(
      `bench: ${error instanceof BenchFailure ? error.message : error instanceof Error ? error.stack : error}\n`,
    )
    return 1
  }
}

const [name, ...args] = process.argv.slice(2)
process.exitCode = await main(name, args)
