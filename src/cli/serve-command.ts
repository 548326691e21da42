// `delos serve`: settings from flags and file, one server in this process, signals, the start-up message and exit codes.

import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { DelosError } from '../base/delos-error.ts'
import type { Server } from '../node/open-server.ts'
import {
  environmentSettings,
  type RawSettings,
  type ResolvedSettings,
  resolveSettings,
  SETTING_KEYS,
  SETTINGS,
} from '../node/settings.ts'
import { productVersion } from '../node/version.ts'
import type { ZooCfg } from '../node/zoo-cfg.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'

interface ServeFlags {
  readonly config?: string
  readonly zooCfg?: string
  readonly printConfig?: boolean
  readonly json?: boolean
  readonly [flag: string]: unknown
}

export function addServeCommand(root: Command): void {
  const command = root
    .command('serve')
    .description('run a server')
    .option('--config <file>', 'YAML file with the same names as the flags')
    .option('--zoo-cfg <file>', "ZooKeeper's own configuration file; what it can't have here is named")
    .option('--print-config', 'print every setting with its value and where it came from, then exit')
    .option('--json', 'print the start-up message as one line of JSON')
  for (const key of SETTING_KEYS) {
    const { name, help, unit, fallback } = SETTINGS[key]
    const shown = fallback === undefined ? '' : ` (default ${String(fallback)})`
    command.option(`--${name} <value>`, `${help} [${unit}]${shown}`)
  }
  command.action((flags: ServeFlags) => serve(flags))
}

async function serve(flags: ServeFlags): Promise<void> {
  const zooCfg = await readZooCfgFile(flags.zooCfg)
  const others = { zooCfg: zooCfg?.settings ?? {}, environment: environmentSettings(process.env) }
  const settings = resolveSettings(await readConfig(flags.config), flagValues(flags), others)
  if (flags.printConfig) {
    for (const note of zooCfg?.notes ?? []) process.stderr.write(`${note}\n`)
    return await printConfig(settings, flags.json === true)
  }
  if (!settings.values.zooCfgAlone) zooCfg?.requireOneServer()
  takeCharge()
  const server = await open(settings, zooCfg)
  process.stdout.write(flags.json ? startUpJson(server) : startUpText(server, settings.values.dataDir))
  await untilEnd(server)
}

async function open({ values, origins }: ResolvedSettings, zooCfg: ZooCfg | undefined): Promise<Server> {
  // Loaded here, since every other command does without.
  const [{ openServer }, { accessOptions, tlsOptions }, { backupOptions }, { createLogger }] = await Promise.all([
    import('../node/open-server.ts'),
    import('../node/access-from-settings.ts'),
    import('../node/backup-options.ts'),
    import('../node/create-logger.ts'),
  ])
  const { sessionTimeoutMinMs, sessionTimeoutMaxMs } = values
  const logger = createLogger(values.logLevel, values.logFormat)
  for (const note of zooCfg?.notes ?? []) logger.warn({}, note)
  const tls = tlsOptions(values)
  const access = await accessOptions(values)
  const backup = backupOptions(values)
  return openServer({
    dataDir: values.dataDir,
    databases: values.databases,
    host: values.host,
    zookeeper: {
      port: values.zookeeperPort,
      tickMs: values.tickMs,
      ...(sessionTimeoutMinMs !== undefined && { sessionTimeoutMinMs }),
      ...(sessionTimeoutMaxMs !== undefined && { sessionTimeoutMaxMs }),
      limits: {
        connectionsMax: values.maxConnections,
        connectionsPerIpMax: values.maxConnectionsPerIp,
        frameBytesMax: values.maxRequestBytes,
      },
      nodes: {
        ttlNodes: values.ttlNodes,
        containerCheckMs: values.containerCheckMs,
        reconfig: values.reconfigEnabled,
      },
      enforceQuotas: values.enforceQuota,
      ...(values.advertiseHost !== undefined && { advertiseHost: values.advertiseHost }),
      linearizablePort: values.linearizablePort,
      linearizableReads: values.linearizableReads,
      access,
      ...(tls !== undefined && { tls }),
      slowMs: values.slowMs,
      fourLetterWords: values.fourLetterWords,
      ...(zooCfg !== undefined && { initialConfiguration: zooCfg.text }),
    },
    metrics: { port: values.metricsPort, fallback: origins.metricsPort === 'default' },
    api: { port: values.apiPort, fallback: origins.apiPort === 'default' },
    admin: { port: values.adminPort },
    log: { retentionHours: values.logRetentionHours, retentionBytes: values.logRetentionBytes },
    ...(backup !== undefined && { backup }),
    drainMs: values.drainMs,
    lease: values.lease,
    traceSample: values.traceSample,
    logger,
  })
}

async function readZooCfgFile(file: string | undefined): Promise<ZooCfg | undefined> {
  if (file === undefined) return undefined
  const { readZooCfg } = await import('../node/zoo-cfg.ts')
  try {
    return readZooCfg(await readFile(file, 'utf8'))
  } catch (error) {
    throw DelosError.from(error, 'INVALID_ARGUMENT', `can't read ${file}`)
  }
}

async function readConfig(file: string | undefined): Promise<RawSettings> {
  if (file === undefined) return {}
  let content: unknown
  try {
    const { parse } = await import('yaml')
    content = parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw DelosError.from(error, 'INVALID_ARGUMENT', `can't read ${file}`)
  }
  if (content === null) return {}
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new DelosError('INVALID_ARGUMENT', `${file}: a map of setting names to values is expected`)
  }
  return content as RawSettings
}

/** Commander's camel-cased options back to setting names, given ones only. */
function flagValues(flags: ServeFlags): RawSettings {
  const values: Record<string, unknown> = {}
  for (const key of SETTING_KEYS) {
    const { name } = SETTINGS[key]
    const given = flags[name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]
    if (given !== undefined) values[name] = given
  }
  return values
}

const ON_ONE_LINE = { lineWidth: 0, blockQuote: false }

async function printConfig(settings: ResolvedSettings, json: boolean): Promise<void> {
  const rows = SETTING_KEYS.map((key) => ({
    name: SETTINGS[key].name,
    value: settings.values[key] ?? null,
    origin: settings.origins[key],
  }))
  if (json) {
    process.stdout.write(`${JSON.stringify(rows)}\n`)
    return
  }
  const { stringify } = await import('yaml')
  for (const { name, value, origin } of rows) {
    const shown = value === null ? '' : stringify(Array.isArray(value) ? value.join(',') : value, ON_ONE_LINE)
    process.stdout.write(`${name}: ${shown.trimEnd()} # ${origin}\n`)
  }
}

function startUpJson(server: Server): string {
  const { ready } = server.status()
  return `${JSON.stringify({ ready, version: productVersion(), addresses: server.addresses })}\n`
}

function startUpText(server: Server, dataDir: string): string {
  const { zookeeper, linearizable, secure, metrics, api, admin } = server.addresses
  const { ready, databases } = server.status()
  const stopped = Object.entries(databases).filter(([, { state }]) => state !== 'serving')
  const lines = [
    `delos ${productVersion()} ${ready ? 'is ready' : 'runs, but is not ready'}, data in ${dataDir}`,
    ...stopped.map(([name, { state, failure }]) => `  ${name} is ${state}: ${failure ?? 'see the log'}`),
    zookeeper === undefined ? '' : `  ZooKeeper clients  ${zookeeper}   (try: zkCli.sh -server ${zookeeper})`,
    linearizable === undefined ? '' : `  linearizable reads ${linearizable}`,
    secure === undefined ? '' : `  the same by TLS    ${secure}`,
    metrics === undefined ? '' : `  Prometheus         http://${metrics}/metrics`,
    api === undefined ? '' : `  HTTP API           http://${api}/v1/status`,
    admin === undefined ? '' : `  AdminServer        http://${admin}/commands`,
  ]
  return `${lines.filter((line) => line !== '').join('\n')}\n`
}

/** What this process does on signals and faults before `untilEnd` takes the signals over. */
function takeCharge(): void {
  // There is nothing yet to drain, and a start that is cut off leaves nothing behind that the next one minds.
  for (const signal of SIGNALS) process.once(signal, endNow)
  process.once('uncaughtException', (error) => {
    process.stderr.write(`delos: internal error: ${error.stack ?? error}\n`)
    process.exit(EXIT.internal)
  })
  // Whoever read the start-up message or the log may be gone.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

function endNow(): void {
  process.exit(EXIT.done)
}

/**
 * Waits for a signal, then drains and closes; a second signal ends at once. A database that stopped keeps the process up, so
 * that its status can be read; the exit code tells of it at the end.
 */
async function untilEnd(server: Server): Promise<void> {
  let failure: unknown
  void server.failed.then((error) => {
    failure = error
  })
  await signalled()
  for (const signal of SIGNALS) process.once(signal, () => process.exit(EXIT.failed))
  await server.close()
  process.exitCode = failure === undefined ? EXIT.done : exitCodeOf(failure)
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      // In this order: when the last listener goes, a signal that has arrived and was not delivered yet is lost.
      process.once(signal, () => resolve())
      process.off(signal, endNow)
    }
  })
}
