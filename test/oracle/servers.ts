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

/** `enforced`: every request needs an identity by digest. */
export async function startReference(enforced = false): Promise<OracleServer> {
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
  const enforcing = { 'zookeeper.enforce.auth.enabled': 'true', 'zookeeper.enforce.auth.schemes': 'digest' }
  const properties = Object.entries({ ...PROPERTIES, ...(enforced && enforcing) }).map(
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

export function startOurs(enforced = false): Promise<OracleServer> {
  const flags = ['--super-digest', SUPER_DIGEST, '--enforce-quota', 'true', '--container-check-ms', '86400000']
  if (enforced) flags.push('--enforce-auth-schemes', 'digest')
  return TestServer.start({ tickMs: TICK_MS, sessionTimeoutMaxMs: SESSION_MS_MAX, flags })
}
