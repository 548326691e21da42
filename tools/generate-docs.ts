// The generated documents as text: settings, error codes, the tables of layers and limits. Whoever calls it compares or
// writes; see docs.test.ts.

import { ERROR_CODES } from '../src/base/delos-error.ts'
import { SETTING_KEYS, SETTINGS } from '../src/node/settings.ts'
import { readZooCfg, ZOO_CFG_KEYS } from '../src/node/zoo-cfg.ts'
import { SERVER_FIGURES, SERVER_SUMMARIES } from '../src/zookeeper/server-metrics.ts'
import { LAYERS, type Layer } from './layers.ts'
import { limitRows } from './limits-table.ts'

const GENERATED = (source: string): string => `<!-- Generated from ${source}: see CONTRIBUTING.md, Documents. -->`

/** docs/configuration.md */
export function configurationPage(): string {
  const rows = SETTING_KEYS.map((key) => {
    const { name, fallback, unit, help } = SETTINGS[key]
    return [`\`${name}\``, unit, fallback === undefined ? '' : `\`${String(fallback)}\``, sentence(help)]
  })
  return [
    '# Configuration',
    '',
    GENERATED('src/node/settings.ts'),
    '',
    'Every setting of `delos serve` is a flag (`--data-dir DIR`) and, under the same name, a line of the YAML file that',
    '`--config FILE` names (`data-dir: DIR`), and an environment variable (`DELOS_DATA_DIR=DIR`). A flag wins over the environment,',
    'that over the file, the file over a zoo.cfg (below), that over the default. Unknown names and values out of range are refused',
    'with exit code 2. `delos serve --print-config` prints every setting with its value and where it came from, in the form of the',
    'file, and ends.',
    '',
    'A port that was given must be free, and so must the one for ZooKeeper clients: otherwise the server ends with exit code 3.',
    'The defaults of metrics and API are a wish: if one is taken, the server takes another and warns. If the port of the AdminServer',
    'is taken, given or not, the server warns and runs without it, as ZooKeeper does.',
    '',
    table(['setting', 'unit', 'default', 'meaning'], rows),
    '',
    '## zoo.cfg',
    '',
    '`delos serve --zoo-cfg FILE` reads ZooKeeper’s own file. Each of its keys becomes a setting of the table above, or is named in the',
    'log (and on stderr by `--print-config`), one line each, with the reason why it has no effect; values are never shown. What ZooKeeper',
    'does by default where the file says nothing is not taken over: without `clientPortAddress` this server listens on 127.0.0.1, and',
    'says so. Its data is not read: give it a `dataDir` of its own, or `--data-dir`, which wins.',
    '',
    table(['key of zoo.cfg', 'setting'], zooCfgRows()),
    '',
  ].join('\n')
}

/** Keys that become settings, by what the reader of such a file makes of each. */
function zooCfgRows(): string[][] {
  return ZOO_CFG_KEYS.flatMap((key) => {
    const settings = ['1', 'true', 'x.pem'].flatMap((value) => Object.keys(readZooCfg(`${key}=${value}`).settings))
    return settings.slice(0, 1).map((setting) => [`\`${key}\``, `\`${setting}\``])
  })
}

/** docs/errors.md */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, { retryable, meaning }]) => [
    `\`${code}\``,
    retryable ? 'yes' : 'no',
    meaning,
  ])
  return [
    '# Errors',
    '',
    GENERATED('src/base/delos-error.ts'),
    '',
    'Every operating failure is a `DelosError` with one of these codes; messages may change, codes do not. *Retry* says whether',
    'the same call may succeed later without anybody repairing anything. Outcomes that are part of normal operation (a sealed',
    'loglet, a lost compare-and-set, a node that exists) are returned, not thrown; bugs are assertions and carry no code.',
    '',
    'ZooKeeper clients see ZooKeeper’s own error codes, never these.',
    '',
    table(['code', 'retry', 'meaning'], rows),
    '',
  ].join('\n')
}

/** The layer table of ARCHITECTURE.md, between its two markers. */
export function layerTable(): string {
  const rows = LAYERS.map((layer) => [`\`${layer.name}/\``, layer.purpose, importsOf(layer), worldOf(layer)])
  return table(['layer', 'what it is', 'may import', 'outside world'], rows)
}

/** The table of docs/zookeeper-metrics.md, between its two markers. */
export function zooKeeperMetricsTable(): string {
  const rows = [...SERVER_FIGURES, ...SERVER_SUMMARIES].map(({ name, kind, help }) => [`\`${name}\``, kind, help])
  return table(['shown', 'type', 'what it is here'], rows)
}

/** The table of limits of the README, between its two markers. */
export function limitsTable(): string {
  return table(['limit', 'default', 'past it'], limitRows())
}

function importsOf(layer: Layer): string {
  const types = (layer.types ?? []).map((name) => `${name} (types)`)
  const all = [...layer.imports, ...types]
  return all.length === 0 ? 'nothing' : all.join(', ')
}

function worldOf(layer: Layer): string {
  if (layer.ambient === 'free') return 'yes'
  return layer.ambient === 'pure' ? 'as handed in' : 'as handed in; deterministic'
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
