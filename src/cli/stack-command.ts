// `delos stack`: the live stack of each database, top to bottom, with flags, levels and latencies.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { JointReport, LayerReport, StackReport, Times } from '../node/stack-report.ts'
import { type ApiFlags, apiGet, databasesOf, withApiFlags } from './api-client.ts'
import { textTable } from './text-table.ts'

interface StackFlags extends ApiFlags {
  /** Seconds; true = the default. */
  readonly watch?: number | true
}

const WATCH_SECONDS = 2
const CLEAR_SCREEN = '\x1b[H\x1b[2J'

export function addStackCommand(root: Command): void {
  const command = root
    .command('stack')
    .description('show the engines of a running server, top to bottom, with their latencies')
    .option('--watch [seconds]', `again and again (default: every ${WATCH_SECONDS} s)`, seconds)
  withApiFlags(command).action(showStacks)
}

async function showStacks(flags: StackFlags): Promise<void> {
  for (;;) {
    const reports: StackReport[] = []
    for (const database of await databasesOf(flags)) reports.push(await stackOf(flags.api, database))
    const [only, ...others] = reports
    const json = JSON.stringify(others.length === 0 && only !== undefined ? only : reports)
    const clear = flags.watch !== undefined && process.stdout.isTTY && !flags.json ? CLEAR_SCREEN : ''
    process.stdout.write(flags.json ? `${json}\n` : `${clear}${reports.map(describeStack).join('\n')}`)
    if (flags.watch === undefined) return
    await sleep((flags.watch === true ? WATCH_SECONDS : flags.watch) * 1000)
  }
}

async function stackOf(api: string, database: string): Promise<StackReport> {
  return (await apiGet(api, `/v1/databases/${encodeURIComponent(database)}/stack`)) as StackReport
}

function seconds(text: string): number {
  const value = Number(text)
  if (value >= 0.1 && value <= 3600) return value
  throw new InvalidArgumentError('seconds from 0.1 to 3600 are expected')
}

function describeStack(report: StackReport): string {
  const { appliedPos, durablePos, tail, members, alarms } = report
  const lines = [
    `${report.database}: ${report.state}, applied ${appliedPos} of ${tail}, durable ${durablePos}, apply utilisation ${percent(report.applyUtilisation)}`,
    `members: ${members.join(', ')}`,
    ...alarms.map((alarm) => `ALARM ${alarm}`),
    '',
    textTable(LAYER_HEAD, report.layers.toReversed().map(layerRow)),
    '',
    textTable(JOINT_HEAD, report.joints.toReversed().map(jointRow)),
    '(p50 and p99 of a sample since the start; utilisation of the last 10 s)',
  ]
  return `${lines.join('\n')}\n`
}

const LAYER_HEAD = ['layer', 'flag', ' level', ' own propose', ' own apply', ' utilisation', 'details']
const JOINT_HEAD = [
  'joint',
  ' proposals',
  ' propose',
  ' syncs',
  ' sync',
  ' applies',
  ' apply',
  ' postApply',
  ' utilisation',
]

function layerRow({ name, kind, share, enabled, level, levelMax, details = {} }: LayerReport): string[] {
  const flag = kind === 'engine' ? (enabled ? 'on' : 'off') : ''
  return [
    name,
    flag,
    kind === 'engine' ? `${level}/${levelMax}` : '',
    kind === 'database' ? '' : time(share.proposeUs),
    time(share.applyUs),
    kind === 'base' ? '' : percent(share.applyUtilisation),
    Object.entries(details)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  ]
}

function jointRow(joint: JointReport): string[] {
  return [
    `${joint.above} / ${joint.below}`,
    String(joint.proposals),
    both(joint.propose),
    String(joint.syncs),
    both(joint.sync),
    String(joint.applies),
    both(joint.apply),
    both(joint.postApply),
    percent(joint.applyUtilisation),
  ]
}

function both({ samples, p50Us, p99Us }: Times): string {
  return samples === 0 ? '-' : `${time(p50Us)} ${time(p99Us)}`
}

function time(us: number): string {
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : us.toFixed(0)} µs`
  return us < 1_000_000 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1_000_000).toFixed(1)} s`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
