// Runs kazoo's own test suite (as installed by Debian's python3-kazoo) against servers that the pytest plugin in
// test/compat starts, in two processes side by side because most of its time is waiting.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KAZOO_TESTS } from './peers.ts'
import { freePort, serverCommand, serverKind } from './server.ts'
import { tempDir } from './temp-dir.ts'
import { within } from './wait.ts'

export interface KazooResult {
  /** As in test/compat: `test_module.Class::test_name`. */
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** The failure with its traceback. */
  readonly message: string
}

const TEST_TIMEOUT_S = 60
const SUITE_TIMEOUT_MS = 240_000

/** These take as long as all others together. */
const FIRST_HALF = ['test_sasl.py']

/** Every test's result; throws if pytest itself failed or did not end. */
export async function runKazooSuite(): Promise<KazooResult[]> {
  const files = readdirSync(KAZOO_TESTS).filter((name) => /^test_\w+\.py$/.test(name))
  const halves = [FIRST_HALF, files.filter((name) => !FIRST_HALF.includes(name))]
  const results = await Promise.all(halves.map(runPytest))
  return results.flat()
}

async function runPytest(files: readonly string[]): Promise<KazooResult[]> {
  const dir = tempDir('kazoo')
  const report = join(dir, 'report.xml')
  const options = [
    '-p',
    'kazoo_external',
    '-q',
    '-p',
    'no:cacheprovider',
    `--timeout=${TEST_TIMEOUT_S}`,
    `--junitxml=${report}`,
  ]
  const selection = ['-k', 'not eventlet and not gevent', ...files.map((name) => join(KAZOO_TESTS, name))]
  const child = spawn('/usr/bin/python3', ['-m', 'pytest', ...options, ...selection], {
    cwd: dir,
    env: {
      ...process.env,
      PYTHONPATH: fileURLToPath(new URL('../compat', import.meta.url)),
      PYTHONDONTWRITEBYTECODE: '1',
      SERVER_CMD: launcher(dir),
      SERVER_COUNT: '1',
      SERVER_PORT: String(await freePort()),
      TMPDIR: dir,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8')
    })
  }
  try {
    await within(once(child, 'close'), SUITE_TIMEOUT_MS, `end of pytest on ${files.join(' ')}`)
  } finally {
    // SIGINT, so that the plugin stops its server.
    if (child.exitCode === null) child.kill('SIGINT')
  }
  if (!existsSync(report)) throw new Error(`pytest wrote no report:\n${output.slice(-4000)}`)
  return parseReport(readFileSync(report, 'utf8'))
}

/** The plugin's SERVER_CMD: {port} and {dir} are filled in by the plugin. */
function launcher(dir: string): string {
  if (serverKind === 'delos') {
    const users = join(dir, 'sasl-users')
    // The suite's own names.
    writeFileSync(users, 'super:super_secret\njaasuser:jaas_password\n')
    // kazoo does not know the code -123 and waits for ever: its reconfig tests are to fail on -6.
    return `exec ${serverCommand('{dir}', '{port}', { flags: ['--sasl-users', users, '--reconfig-enabled', 'true'] })
      .map(quote)
      .join(' ')}`
  }
  const command = serverCommand(join(dir, 'template'), '@PORT@')
  const template = command.pop() as string
  const settings = readFileSync(template, 'utf8').replaceAll(join(dir, 'template'), '@DIR@')
  writeFileSync(template, settings)
  const script = join(dir, 'zookeeper.sh')
  writeFileSync(
    script,
    `sed "s#@PORT@#$1#; s#@DIR@#$2#" ${quote(template)} >"$2/zoo.cfg"\nexec ${command.map(quote).join(' ')} "$2/zoo.cfg"\n`,
  )
  return `exec sh ${quote(script)} {port} {dir}`
}

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** Of JUnit's XML only what pytest writes. */
function parseReport(xml: string): KazooResult[] {
  return xml
    .split('<testcase ')
    .slice(1)
    .map((element) => {
      const attributes = element.slice(0, element.indexOf('>'))
      const module = /(test_\w+(?:\.\w+)?)$/.exec(attribute(attributes, 'classname'))?.[1] ?? ''
      const failure = /<(?:failure|error) message="([^"]*)"[^>]*>([^<]*)/.exec(element)
      const outcome = failure !== null ? 'failed' : element.includes('<skipped') ? 'skipped' : 'passed'
      return {
        name: `${module}::${attribute(attributes, 'name')}`,
        outcome,
        message: `${failure?.[1] ?? ''}\n${failure?.[2] ?? ''}`,
      }
    })
}

function attribute(attributes: string, name: string): string {
  return new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? ''
}
