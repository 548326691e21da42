// What the benchmark of tables measures, and the floors that `--check` demands.

export type TableFigures = {
  /** All per second. */
  readonly pointReads: number
  readonly upserts: number
  /** The same where each changes what its index holds. */
  readonly movingUpserts: number
  readonly transactions: number
  readonly scannedRows: number
}

export type LargeFigures = {
  readonly rows: number
  readonly loadSeconds: number
  readonly restartMs: number
  readonly getP99Ms: number
  /** Peak resident memory over loading, restart and load. */
  readonly peakMebibytes: number
}

export type TableFloor = {
  readonly name: string
  readonly bound: 'at least' | 'at most'
  readonly limit: number
  /** Absent if it was left out of this run. */
  readonly measured?: number | undefined
  readonly holds?: boolean
}

export function checkTableFloors(figures: Partial<TableFigures & LargeFigures>): readonly TableFloor[] {
  const floors: readonly TableFloor[] = [
    { name: 'point reads by key per second', bound: 'at least', limit: 300_000, measured: figures.pointReads },
    { name: 'upserts with one index per second', bound: 'at least', limit: 60_000, measured: figures.upserts },
    {
      name: 'transactions of 3 reads and 2 writes per second',
      bound: 'at least',
      limit: 20_000,
      measured: figures.transactions,
    },
    {
      name: 'rows scanned in a covering index per second',
      bound: 'at least',
      limit: 500_000,
      measured: figures.scannedRows,
    },
    { name: 'peak MiB with many rows', bound: 'at most', limit: 1024, measured: figures.peakMebibytes },
    { name: 'point get p99 with many rows, ms', bound: 'at most', limit: 5, measured: figures.getP99Ms },
    { name: 'restart with many rows, ms', bound: 'at most', limit: 5000, measured: figures.restartMs },
  ]
  return floors.map((floor) => {
    const { bound, limit, measured } = floor
    if (measured === undefined) return floor
    return { ...floor, holds: bound === 'at least' ? measured >= limit : measured <= limit }
  })
}
