// Every command of zkCli.sh 3.8, with every flag that its `help` names, typed to Delos and to a real ZooKeeper: what they print
// is the same, but for zxids, times and ids of sessions.

import { beforeAll, expect, it } from 'vitest'
import { startOurs, startReference } from './oracle/servers.ts'
import { describeWith, peers } from './support/peers.ts'
import { ZkCli } from './support/zk-cli.ts'

const CREATE = [
  'create /z "two words"',
  'create /z x',
  'create -e /z/e data',
  'create -s /z/s- data',
  'create -e -s /z/es- data',
  'create -c /z/c data',
  'create -t 600000 /z/t data',
  'create -t 600000 -s /z/ts- data',
  'create -t 0 /z/t0 data',
  'create -t -5 /z/t0 data',
  'create -t soon /z/t0 data',
  'create -c -e /z/ce',
  'create -e -t 100 /z/et',
  'create /z/null',
  'create /z/acl data world:anyone:cdrwa,ip:127.0.0.1:r',
  'create /z/bad data nonsense:x:r',
  'create /z/bad data world:anyone',
  'create /z/bad data digest:ann:r',
  'create /z/bad data auth::r',
  'create /z/closed data world:anyone:a',
  'create /z/closed/below',
  'create /no/where x',
  'create /z/e/below x',
  'create relative x',
  'create /z/ x',
  'create /',
  'create',
]

const READ = [
  'ls /',
  'ls /z',
  'ls -s /z',
  'ls -R /z',
  'ls -R /zookeeper',
  'ls -s -R /z',
  'ls /nope',
  'ls',
  'stat /',
  'stat /z',
  'stat /z/e',
  'stat /z/t',
  'stat /nope',
  'get /z',
  'get -s /z',
  'get /z/null',
  'get /z/closed',
  'get /nope',
  'getAllChildrenNumber /z',
  'getAllChildrenNumber /',
  'getAllChildrenNumber /nope',
  'getEphemerals',
  'getEphemerals /z/es',
  'getEphemerals /nope',
  'sync /z',
  'sync /nope',
  'sync nope',
]

const WRITE = [
  'set /z second',
  'set -s /z third',
  'set -v 2 /z fourth',
  'set -v 2 /z fifth',
  'set -s -v 3 /z fifth',
  'set /nope x',
  'set /z/closed x',
  'set /z',
]

const ACCESS = [
  'getAcl /z',
  'getAcl -s /z/acl',
  'getAcl /zookeeper/config',
  'getAcl /nope',
  'setAcl /z/null auth::cdrwa',
  'whoami',
  'addauth digest ann:secret',
  'whoami',
  'create /z/ann data auth::cdrwa',
  'getAcl /z/ann',
  'setAcl /z/null auth::cdrwa',
  'getAcl -s /z/null',
  'setAcl -s /z/acl world:anyone:cdrwa,auth::r',
  'setAcl -v 1 /z/acl world:anyone:cdrwa',
  'setAcl -v 1 /z/acl world:anyone:cdrwa',
  'setAcl /z/acl world:someone:r',
  'setAcl /z/acl nonsense',
  'setAcl /nope world:anyone:r',
  'create /tree',
  'create /tree/a',
  'create /tree/a/b',
  'setAcl -R /tree world:anyone:cdra',
  'getAcl /tree/a/b',
  'set /tree/a/b x',
  'setAcl -R /nope world:anyone:cdra',
  'addauth digest super:admin',
  'set /z/closed x',
  'getAcl /z/ann',
]

const WATCH = [
  'create /w 0',
  'ls -w /w',
  'create /w/a',
  'get -w /w',
  'set /w 1',
  'stat -w /w/a',
  'delete /w/a',
  'stat -w /w/none',
  'get -w /w/none',
  'ls -w /w/none',
  'create /w/none',
  'addWatch /w/none',
  'addWatch -m PERSISTENT /w',
  'addWatch -m PERSISTENT_RECURSIVE /w/later',
  'addWatch -m NONSENSE /w',
  'addWatch',
  'set /w 2',
  'set /w 3',
  'create /w/none/deep',
  'set /w/none/deep 1',
  'create /w/later',
  'create /w/later/still',
  'removewatches /w -a',
  'set /w 4',
  'removewatches /w/none -l',
  'removewatches /w -a',
  'removewatches /nope -d',
  'get -w /w',
  'removewatches /w -d',
  'ls -w /w',
  'removewatches /w -c',
  'ls -w /w',
  'get -w /w',
  'removewatches /w',
  'set /w 5',
  'printwatches',
  'printwatches off',
  'printwatches',
  'set /w/later unseen',
  'get -s /w/later',
  'ls -R /w',
  'printwatches on',
  'deleteall /w',
]

const QUOTA = [
  'create /q abc',
  'listquota /q',
  'setquota -n 2 /q',
  'listquota /q',
  'setquota -n 3 /q',
  'create /q/1 x',
  'create /q/2 x',
  'create /q/3 x',
  'setquota -b 4 /q',
  'setquota -N 6 /q',
  'setquota -B 20 /q',
  'listquota /q',
  'create /q/4 x',
  'create /q/5 x',
  'create /q/6 x',
  'set /q/4 "much more than that"',
  'get /q/4',
  'stat /q',
  'setquota -n 5 /q/1',
  'listquota /q/1',
  'delquota -n /q',
  'delquota -b /q',
  'listquota /q',
  'delquota -N /q',
  'delquota -B /q',
  'listquota /q',
  'delquota /q',
  'delquota /q',
  'setquota -n 5 /nope',
  'setquota /q',
  'listquota /nope',
  'delquota /nope',
  'ls -R /zookeeper',
  'get /zookeeper/quota',
]

const CONFIGURATION = [
  'config',
  'config -c',
  'config -w',
  'config -s',
  'get /zookeeper/config',
  'stat /zookeeper/config',
  'set /zookeeper/config x',
  'reconfig -remove 2',
  'reconfig -s -v 7 -remove 2',
  'reconfig -add server.5=127.0.0.1:2345:2346;2347',
  'reconfig -members server.1=127.0.0.1:2345:2346;2347,server.2=127.0.0.1:2348:2349;2350',
  'reconfig -file /nope',
  'reconfig',
]

// What deleteall says of nodes that it can't delete hangs on its threads: left out.
const DELETE = [
  'delete /z',
  'delete -v 9 /z/c',
  'delete -v 0 /z/c',
  'delete /z/c',
  'delete /nope',
  'delete /zookeeper',
  'delete relative',
  'delete',
  'deleteall /tree',
  'deleteall -b 2 /z',
  'deleteall /nope',
  'ls /',
]

const SESSION = [
  'version',
  'nonsense',
  'history',
  'redo 1',
  'create -e /mine',
  'close',
  'ls /',
  'connect SERVER',
  'ls /',
  'getEphemerals',
  'whoami',
  'connect SERVER',
  'ls /',
]

const SCRIPT = [...CREATE, ...READ, ...WRITE, ...ACCESS, ...WATCH, ...QUOTA, ...CONFIGURATION, ...DELETE, ...SESSION]

interface Transcript {
  readonly outputs: string[]
  readonly events: string[]
  readonly help: string
  readonly exitCode: number | null
}

/** What is different from run to run. */
function plain(output: string, port: number): string {
  return output
    .replaceAll(`127.0.0.1:${port}`, 'SERVER')
    .replace(/^(.Zxid|.time|ephemeralOwner) = (?!0x0$).+$/gm, '$1 = #')
    .replace(/^(\d+-\d+-\d+ [\d:,]+|\tat ) .*\n?/gm, '')
}

/** ZooKeeper keeps identities in no order. */
function inOrder(line: string, output = ''): string {
  return line === 'whoami' ? output.split('\n').sort().join('\n') : output
}

async function transcript(port: number): Promise<Transcript> {
  const cli = await ZkCli.connected(port)
  try {
    const outputs: string[] = []
    for (const line of SCRIPT) outputs.push(plain(await cli.run(line.replace('SERVER', `127.0.0.1:${port}`)), port))
    const help = await cli.run('help')
    const exitCode = await cli.quit()
    return { outputs, events: cli.watchedEvents, help, exitCode }
  } finally {
    cli.kill()
  }
}

/** The commands that `help` lists, each with its flags. */
function listed(help: string): Map<string, string[]> {
  const lines = help.match(/^\t\w+ .*$/gm) ?? []
  return new Map(
    lines.map((line) => {
      const [usage = ''] = line.trim().split('#')
      return [usage.split(' ')[0] as string, usage.match(/(?<=[[| ])-[a-zA-Z]+\b/g) ?? []] as const
    }),
  )
}

/** The end of the transcript. */
const BESIDE = ['quit']

describeWith(peers.zookeeper, 'each command of zkCli.sh 3.8', () => {
  let ours: Transcript
  let reference: Transcript
  beforeAll(async () => {
    await using mine = await startOurs()
    await using theirs = await startReference()
    ;[ours, reference] = await Promise.all([transcript(mine.port), transcript(theirs.port)])
  })

  it.each(SCRIPT.map((line, index) => [line, index] as const))('%s', (line, index) => {
    expect(inOrder(line, ours.outputs[index])).toBe(inOrder(line, reference.outputs[index]))
  })

  it('is told the same events', () => {
    expect(ours.events).toEqual(reference.events)
    expect(ours.exitCode).toBe(reference.exitCode)
  })

  it('is in the script, with each flag that `help` names', () => {
    const commands = listed(ours.help)
    expect(commands.size).toBeGreaterThan(27)
    const typed = (command: string, flag = ''): boolean =>
      SCRIPT.some((line) => line.split(' ')[0] === command && (flag === '' || line.split(' ').includes(flag)))
    expect([...commands.keys()].filter((command) => !typed(command) && !BESIDE.includes(command))).toEqual([])
    const missing = [...commands].flatMap(([command, flags]) =>
      flags.filter((flag) => !typed(command, flag)).map((flag) => `${command} ${flag}`),
    )
    expect(missing).toEqual([])
  })
})
