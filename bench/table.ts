// Tables in one process: point reads, upserts, transactions, scans; with --large also memory, restart and latency over many rows.
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { isInMemory } from './machine.ts'
import { paths } from './paths.ts'
import { startFlags } from './peers.ts'
import { BenchFailure, discard, runToEnd, scratchDirectory } from './processes.ts'
import { writePart } from './results-file.ts'
import { median } from './statistics.ts'
import { checkTableFloors, type LargeFigures, type TableFigures } from './table-figures.ts'
import { UsageError } from './usage-error.ts'
import { warnIfStale } from './zookeeper.ts'

export const USAGE = `npm run bench -- table [flags]

  --check              exit 1 if a stated floor does not hold
  --quick              1 round of 1 s a figure instead of 3 of 2 s, and no rows loaded
  --large ROWS         also load so many rows with two indexes (default: 10000000 with --check, about 6 minutes; else 0)
  --write              write the part of tables in bench/RESULTS.md
  --work-dir DIR       where data is kept (build/); must be on a real disk
`

const SMALL_MS_MAX = 120_000
const LARGE_ROWS = 10_000_000
const LARGE_MS_MAX = 1_800_000

/** Returns the exit code: 0, or 1 if `--check` was given and a floor does not hold. */
export async function benchTable(args: readonly string[]): Promise<number> {
  const { check, largeRows, rounds, seconds, workDirectory, write } = parsed(args)
  warnIfStale()
  const directory = scratchDirectory(workDirectory, 'bench')
  if (isInMemory(directory))
    throw new BenchFailure(`${workDirectory} is in memory, where a sync costs nothing: --work-dir`)
  const samples: TableFigures[] = []
  for (let round = 0; round < rounds; round++) {
    const sample = (await run([join(directory, `${round}`), String(seconds)], SMALL_MS_MAX)) as TableFigures
    process.stderr.write(`bench: round ${round + 1} of ${rounds}: ${JSON.stringify(sample)}\n`)
    samples.push(sample)
  }
  const of = (name: keyof TableFigures): number => median(samples.map((sample) => sample[name]))
  const small: TableFigures = {
    pointReads: of('pointReads'),
    upserts: of('upserts'),
    movingUpserts: of('movingUpserts'),
    transactions: of('transactions'),
    scannedRows: of('scannedRows'),
  }
  const large =
    largeRows === 0
      ? undefined
      : ((await run([join(directory, 'large'), '0', String(largeRows)], LARGE_MS_MAX)) as LargeFigures)
  discard(directory)
  const floors = checkTableFloors({ ...small, ...large })
  const lines = floors.map(({ bound, holds, limit, measured, name }) => {
    const verdict = measured === undefined ? 'not measured' : `${measured}, ${holds ? 'holds' : 'DOES NOT HOLD'}`
    return `- ${name}, ${bound} ${limit}: ${verdict}`
  })
  lines.push(`- upserts that move their entry of the index per second: ${small.movingUpserts}`)
  process.stdout.write(`${lines.join('\n')}\n`)
  if (write) writePart(paths.results, 'table', `## Tables\n\n${lines.join('\n')}`)
  process.stdout.write(`${JSON.stringify({ small, large, floors })}\n`)
  return check && floors.some(({ holds }) => holds === false) ? 1 : 0
}

async function run(args: readonly string[], deadlineMs: number): Promise<unknown> {
  const program = join(paths.build, 'bench/table-load.js')
  const { code, stderr, stdout } = await runToEnd(process.execPath, [...startFlags(), program, ...args], deadlineMs)
  if (code !== 0) throw new BenchFailure(`the load failed: ${stderr.trim().slice(-2000)}`)
  return JSON.parse(stdout)
}

function parsed(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  const word = { type: 'string' } as const
  const options = { check: flag, quick: flag, write: flag, large: word, 'work-dir': word }
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values']
  try {
    values = parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  const largeRows = Number(values.large ?? (values.check && !values.quick ? LARGE_ROWS : 0))
  if (!Number.isInteger(largeRows) || largeRows < 0)
    throw new UsageError(`--large: ${values.large} is no number of rows`)
  return {
    check: values.check === true,
    write: values.write === true,
    largeRows,
    rounds: values.quick ? 1 : 3,
    seconds: values.quick ? 1 : 2,
    workDirectory: resolve(values['work-dir'] ?? paths.build),
  }
}
