// Renders a finished comparison: tables for people, one JSON value for programs, and the page that is checked in.
import type { Comparison, Summary } from './comparison.ts'
import type { FloorOutcome } from './floors.ts'
import type { Machine } from './machine.ts'
import { PEER_NAMES, type PeerName } from './peers.ts'
import type { Spread } from './statistics.ts'
import type { TracedSyncs } from './sync-trace.ts'
import { type Workload, workloadName } from './workloads.ts'

export type Report = {
  readonly benchmark: string
  readonly parameters: Readonly<Record<string, number | string>>
  readonly machine: Machine
  readonly versions: Readonly<Partial<Record<PeerName, string>>>
  readonly comparisons: readonly Comparison[]
  readonly tracedSyncs: readonly TracedSyncs[] | { readonly skipped: string }
  readonly floors: readonly FloorOutcome[]
  /** The largest share of the machine that others took during any one measurement, 0 to 1. */
  readonly foreignShareMax: number
}

export type Table = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }

function shown(workload: Workload): string {
  return `${workload.operation} ${workload.connections} × ${workload.window}`
}

export function rate(perSecond: number): string {
  return perSecond < 1000 ? perSecond.toFixed(0) : `${(perSecond / 1000).toFixed(1)}k`
}

export function time(microseconds: number): string {
  if (microseconds < 1000) return `${microseconds.toFixed(0)} µs`
  return `${(microseconds / 1000).toFixed(microseconds < 10_000 ? 1 : 0)} ms`
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`
}

export function spread(value: Spread, unit: (value: number) => string): string {
  return value.min === value.max ? unit(value.median) : `${unit(value.median)} (${unit(value.min)}..${unit(value.max)})`
}

function figuresTable(comparisons: readonly Comparison[]): Table {
  const peerRow = (peer: string, { opsPerSecond, p50Us, p99Us, cores }: Summary): string[] => [
    peer,
    spread(opsPerSecond, rate),
    spread(p50Us, time),
    spread(p99Us, time),
    cores.toFixed(2),
  ]
  const rows = comparisons.flatMap(({ workload, peers, ratio }) => {
    const lines = PEER_NAMES.flatMap((peer) => (peers[peer] === undefined ? [] : [peerRow(peer, peers[peer])]))
    if (ratio)
      lines.push([
        'ratio',
        spread(ratio.opsPerSecond, times),
        spread(ratio.p50Us, times),
        spread(ratio.p99Us, times),
        '',
      ])
    return lines.map((line, index) => [index === 0 ? shown(workload) : '', ...line])
  })
  return { head: ['workload', 'server', 'requests/s', 'p50', 'p99', 'cores'], rows }
}

function count(value: number | undefined): string {
  return value === undefined ? 'n/a' : value.toFixed(0)
}

function syncTable({ comparisons, tracedSyncs }: Report): Table {
  const traced = 'skipped' in tracedSyncs ? [] : tracedSyncs
  const rows = comparisons
    .filter(({ workload }) => workload.operation !== 'get')
    .flatMap(({ workload, peers }) =>
      PEER_NAMES.flatMap((peer) => {
        const summary = peers[peer]
        if (summary === undefined) return []
        const calls = traced.find((one) => one.peer === peer && workloadName(one.workload) === workloadName(workload))
        const timed = [count(summary.logSyncs), summary.requestsPerLogSync?.toFixed(1) ?? 'n/a']
        const kernel = calls ? [count(calls.counted.logSyncs), count(calls.syncCalls)] : ['', '']
        return [[shown(workload), peer, ...timed, ...kernel]]
      }),
    )
  return {
    head: ['workload', 'server', 'log syncs', 'requests/sync', 'traced: log syncs', 'all sync calls'],
    rows,
  }
}

export function plain({ head, rows }: Table): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function markdown({ head, rows }: Table): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

function floorLine({ workload, figure, bound, times: wanted, measured, holds }: FloorOutcome): string {
  const verdict = holds === undefined ? 'not measured' : holds ? 'holds' : 'DOES NOT HOLD'
  const got = measured === undefined ? '' : `: ${times(measured)}`
  const name = figure === 'opsPerSecond' ? 'requests/s' : figure.replace('Us', '')
  return `${workload} ${name} ${bound} ${times(wanted)} ZooKeeper's${got}, ${verdict}`
}

export function machineLine({ machine, versions }: Pick<Report, 'machine' | 'versions'>): string {
  const sync = `one synced 4 KiB write takes ${time(machine.syncUs)}`
  return `${Object.values(versions).join(', ')}\n${machine.processor}, ${machine.cores} cores; ${machine.disk}; ${sync}`
}

export const FOREIGN_SHARE_NOTICED = 0.1

export function forPeople(report: Report): string {
  const parts = [machineLine(report), plain(figuresTable(report.comparisons)), plain(syncTable(report))]
  if ('skipped' in report.tracedSyncs) parts.push(`system calls not counted: ${report.tracedSyncs.skipped}`)
  if (report.comparisons.some(({ ratio }) => ratio)) parts.push(report.floors.map(floorLine).join('\n'))
  if (report.foreignShareMax > FOREIGN_SHARE_NOTICED) {
    parts.push(
      `noisy: others took up to ${(report.foreignShareMax * 100).toFixed(0)} % of the machine during a measurement`,
    )
  }
  return parts.join('\n\n')
}

/** One line. Latencies in microseconds. */
export function forPrograms(report: Report): string {
  const named = <T extends { readonly workload: Workload }>(entry: T) => ({
    ...entry,
    workload: workloadName(entry.workload),
  })
  const { comparisons, tracedSyncs } = report
  const rounded = (_key: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)
  const traced = 'skipped' in tracedSyncs ? tracedSyncs : tracedSyncs.map(named)
  return JSON.stringify({ ...report, comparisons: comparisons.map(named), tracedSyncs: traced }, rounded)
}

export function forTheRepository(report: Report): string {
  const { rounds, seconds, warmSeconds, keys } = report.parameters
  return `# Results

Written by \`npm run bench -- ${report.benchmark} --write\`; README.md says what is measured and how.

- ${machineLine(report).replace('\n', '\n- ')}
- ${rounds} rounds of ${seconds} s per workload after ${warmSeconds} s of warm-up, ${keys} keys, values of 100 bytes

## Beside ZooKeeper

Median (smallest..largest round). Only the ratios carry over to another machine; a ratio is ours divided by ZooKeeper's.

${markdown(figuresTable(report.comparisons))}

## Syncs

The log's, as each server counts them in a timed run (keys and the uncounted second included). In a short traced run
apart: the same counter, and beside it every call of fsync and its kin that the kernel saw from that process.

${markdown(syncTable(report))}

## Floors

${report.floors.map((floor) => `- ${floorLine(floor)}`).join('\n')}
`
}
