// The two servers of the oracle: a real ZooKeeper with everything switched on that Zelos has by default, and the built Delos.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fourLetterWord } from '../support/frame-connection.ts'
import { ZOOKEEPER_JAR } from '../support/peers.ts'
import { freePort, TestServer } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { eventually } from '../support/wait.ts'

export interface OracleServer extends AsyncDisposable {
  readonly port: number
}

export const TICK_MS = 200
export const SESSION_MS_MAX = 60_000
/** super:admin */
const SUPER_DIGEST = 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs='

/** No fsync, and no look at containers while the run lasts: neither is what is compared. */
const PROPERTIES = {
  'zookeeper.forceSync': 'no',
  'zookeeper.digest.enabled': 'false',
  'zookeeper.extendedTypesEnabled': 'true',
  'zookeeper.enforceQuota': 'true',
  'zookeeper.admin.enableServer': 'false',
  'zookeeper.DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
  'znode.container.checkIntervalMs': '86400000',
}

const running = new Set<ChildProcess>()
const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}
process.once('exit', killAll)
// The test runner may end this process without letting it exit.
process.once('disconnect', killAll)

/** `enforcing`: every request needs an identity by digest. `throttling`: one request at a time, and others wait so long at most. */
export type ServerMode = 'plain' | 'enforcing' | 'throttling'

const THROTTLED_OP_WAIT_MS = 5
const PROPERTIES_OF: { readonly [mode in ServerMode]: { readonly [name: string]: string } } = {
  plain: {},
  enforcing: { 'zookeeper.enforce.auth.enabled': 'true', 'zookeeper.enforce.auth.schemes': 'digest' },
  throttling: {
    'zookeeper.request_throttle_max_requests': '1',
    'zookeeper.throttled_op_wait_time': `${THROTTLED_OP_WAIT_MS}`,
  },
}
const FLAGS_OF: { readonly [mode in ServerMode]: readonly string[] } = {
  plain: [],
  enforcing: ['--enforce-auth-schemes', 'digest'],
  throttling: ['--request-throttle-limit', '1', '--throttled-op-wait-ms', `${THROTTLED_OP_WAIT_MS}`],
}

export async function startReference(mode: ServerMode = 'plain'): Promise<OracleServer> {
  const [dir, port] = [tempDir('oracle-zookeeper'), await freePort()]
  mkdirSync(dir, { recursive: true })
  const settings = [
    `tickTime=${TICK_MS}`,
    `maxSessionTimeout=${SESSION_MS_MAX}`,
    `dataDir=${join(dir, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'maxClientCnxns=0',
    '4lw.commands.whitelist=srvr, mntr',
  ]
  writeFileSync(join(dir, 'zoo.cfg'), `${settings.join('\n')}\n`)
  const properties = Object.entries({ ...PROPERTIES, ...PROPERTIES_OF[mode] }).map(
    ([name, value]) => `-D${name}=${value}`,
  )
  const main = ['-cp', ZOOKEEPER_JAR, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', join(dir, 'zoo.cfg')]
  const child = spawn('/usr/bin/java', ['-Xmx512m', '-Dfile.encoding=UTF-8', ...properties, ...main], {
    stdio: 'ignore',
  })
  running.add(child)
  const answers = async (): Promise<true | undefined> =>
    (await fourLetterWord(port, 'srvr', 500).catch(() => '')).includes('Mode: standalone') ? true : undefined
  await eventually(answers, 30_000, 'a ZooKeeper that answers')
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      running.delete(child)
    },
  }
}

export function startOurs(mode: ServerMode = 'plain'): Promise<OracleServer> {
  const flags = [
    '--super-digest',
    SUPER_DIGEST,
    '--enforce-quota',
    'true',
    '--container-check-ms',
    '86400000',
    ...FLAGS_OF[mode],
  ]
  return TestServer.start({ tickMs: TICK_MS, sessionTimeoutMaxMs: SESSION_MS_MAX, flags })
}
