// Renders what `bench -- engines` found: tables for people, one JSON value for programs, and its part of the checked-in page.
import {
  addedLatency,
  type BatchingFigures,
  bestStep,
  type EngineFigures,
  type EngineFloor,
  MANY,
  ONE,
  STACKS,
  samplesOf,
  spreadOver,
} from './engines-figures.ts'
import type { StackShare } from './engines-stack.ts'
import type { Machine } from './machine.ts'
import { FOREIGN_SHARE_NOTICED, machineLine, markdown, plain, rate, spread, type Table, time } from './report.ts'
import { median } from './statistics.ts'

export type EnginesReport = EngineFigures & {
  readonly parameters: Readonly<Record<string, number>>
  readonly machine: Machine
  readonly version: string
  readonly floors: readonly EngineFloor[]
  /** The largest share of the machine that others took during a measurement through sockets, 0 to 1. */
  readonly foreignShareMax: number
}

const STACK_TITLES = { full: 'full Zelos stack, Observers', bare: 'Base and Batching alone' } as const

function stacksTable({ samples }: EngineFigures): Table {
  const rows = STACKS.flatMap((stack) => {
    const chosen = samplesOf(samples, stack, MANY)
    if (chosen.length === 0) return []
    const figures = [
      spread(spreadOver(chosen, 'opsPerSecond'), rate),
      spread(spreadOver(chosen, 'p50Us'), time),
      spread(spreadOver(chosen, 'p99Us'), time),
    ]
    return [[MANY, STACK_TITLES[stack], ...figures]]
  })
  return { head: ['workload', 'stack', 'requests/s', 'p50', 'p99'], rows }
}

function pairsLine({ pairs }: EngineFigures): string {
  const added = addedLatency(pairs)
  if (added === undefined) return `${ONE}: not measured`
  const p50 = (stack: 0 | 1): string => time(median(pairs.map((pair) => pair[stack])))
  const differences = pairs.map(([full, bare]) => full - bare).sort((a, b) => a - b)
  const us = (value: number | undefined): string => (value ?? Number.NaN).toFixed(1)
  const quarter = (share: number): string => us(differences[Math.round((differences.length - 1) * share)])
  return [
    `${ONE}: p50 ${p50(0)} with the full stack, ${p50(1)} with Base and Batching alone; within ${pairs.length} pairs`,
    `the full stack takes ${us(added.median)} µs more (median; 19 of 20: ${us(added.min)} to ${us(added.max)}, half of the pairs: ${quarter(0.25)} to ${quarter(0.75)})`,
  ].join(' ')
}

function sharesTable(shares: readonly StackShare[]): Table {
  const fine = (us: number): string => (us < 10 ? `${us.toFixed(2)} µs` : time(us))
  const rows = shares.toReversed().map(({ name, proposeUs, applyUs }) => [name, fine(proposeUs), fine(applyUs)])
  return { head: ['layer', 'own propose, mean', 'own apply per write'], rows }
}

function utilisationTable(shares: readonly StackShare[]): Table {
  const rows = shares
    .toReversed()
    .filter(({ name }) => name !== 'base')
    .map(({ name, applyUtilisation }) => [name, `${(applyUtilisation * 100).toFixed(2)} %`])
  return { head: ['layer', 'own apply utilisation'], rows }
}

function batchingTable(figures: BatchingFigures): Table {
  const rows = figures.with.map((batched) => {
    const without = figures.without.find(({ inFlight }) => inFlight === batched.inFlight)
    const cells = [without, batched].flatMap((step) =>
      step === undefined ? ['', '', ''] : [rate(step.opsPerSecond), time(step.p50Us), time(step.p99Us)],
    )
    return [String(batched.inFlight), ...cells]
  })
  return { head: ['in flight', 'without: writes/s', 'p50', 'p99', 'Batching: writes/s', 'p50', 'p99'], rows }
}

function bestLine(figures: BatchingFigures): string {
  const [without, batched] = [bestStep(figures.without), bestStep(figures.with)]
  const shown = (step: typeof without): string =>
    step === undefined ? 'none' : `${rate(step.opsPerSecond)} at ${step.inFlight} in flight`
  return `most writes/s with a p99 under 20 ms: ${shown(without)} without, ${shown(batched)} with Batching`
}

function pacedLine({ paced }: EngineFigures): string | undefined {
  if (paced === undefined) return undefined
  const { opsPerSecond, p50Us, p99Us, applyUtilisation } = paced
  return `${rate(opsPerSecond)} sets/s asked for evenly: apply utilisation ${(applyUtilisation * 100).toFixed(1)} %, p50 ${time(p50Us)}, p99 ${time(p99Us)}`
}

function amount(value: number, unit: EngineFloor['unit']): string {
  return unit === '×' ? `${value.toFixed(2)}×` : `${value.toFixed(1)} ${unit}`
}

function floorLine({ name, bound, value, unit, measured, holds }: EngineFloor): string {
  const verdict = holds === undefined ? 'not measured' : holds ? 'holds' : 'DOES NOT HOLD'
  const got = measured === undefined ? '' : `: ${amount(measured, unit)}`
  return `${name}, ${bound} ${amount(value, unit)}${got}, ${verdict}`
}

type Section = { readonly title: string; readonly body: readonly (Table | string)[] }

function sections(report: EnginesReport): Section[] {
  const { inProcess } = report
  const paced = pacedLine(report)
  return [
    ...(report.samples.length === 0
      ? []
      : [
          {
            title: 'What the full stack costs',
            body: [stacksTable(report), pairsLine(report), sharesTable(report.shares)],
          },
        ]),
    ...(inProcess === undefined
      ? []
      : [
          {
            title: 'Batching over a log that answers after 1 ms, at most 64 in flight',
            body: [batchingTable(inProcess.slow), bestLine(inProcess.slow)],
          },
          {
            title: 'Batching over the file loglet',
            body: [batchingTable(inProcess.file), bestLine(inProcess.file)],
          },
        ]),
    ...(paced === undefined
      ? []
      : [{ title: 'Apply utilisation', body: [paced, utilisationTable(report.paced?.shares ?? [])] }]),
  ]
}

function machineOf({ machine, version }: EnginesReport): string {
  return machineLine({ machine, versions: { delos: version } })
}

export function enginesForPeople(report: EnginesReport): string {
  const parts = [machineOf(report)]
  for (const { title, body } of sections(report)) {
    parts.push(title, ...body.map((one) => (typeof one === 'string' ? one : plain(one))))
  }
  parts.push(report.floors.map(floorLine).join('\n'))
  if (report.foreignShareMax > FOREIGN_SHARE_NOTICED) {
    const share = (report.foreignShareMax * 100).toFixed(0)
    parts.push(`noisy: others took up to ${share} % of the machine during a measurement`)
  }
  return parts.join('\n\n')
}

export function enginesForPrograms(report: EnginesReport): string {
  const rounded = (_key: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)
  return JSON.stringify({ benchmark: 'engines', ...report }, rounded)
}

export function enginesForTheRepository(report: EnginesReport): string {
  const { rounds, starts, pairs, seconds, warmSeconds } = report.parameters
  const parts = [
    '# Engines',
    'Written by `npm run bench -- engines --write`; README.md says what is measured and how.',
    `- ${machineOf(report).replace('\n', '\n- ')}\n- through sockets: ${rounds} rounds of ${seconds} s per workload after ${warmSeconds} s of warm-up; one at a time ${starts} times ${pairs} pairs; values of 100 bytes`,
  ]
  for (const { title, body } of sections(report)) {
    parts.push(`## ${title}`, ...body.map((one) => (typeof one === 'string' ? one : markdown(one))))
  }
  parts.push('## Floors of the engines', report.floors.map((floor) => `- ${floorLine(floor)}`).join('\n'))
  return parts.join('\n\n')
}
