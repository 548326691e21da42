// ZooKeeper's own command line, unmodified, as a person would type into it: what each command prints.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith, peers, ZKCLI } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { ZkCli } from './support/zk-cli.ts'
import { ZkClient } from './support/zk-client.ts'
import { Err } from './support/zk-protocol.ts'

const event = (type: string, path: string): string => `WatchedEvent state:SyncConnected type:${type} path:${path}`

/** The lines of a stat without zxids and times, which differ from run to run. */
function statOf(output: string): Record<string, string> {
  const fields = [...output.matchAll(/^(\w+) = (.*)$/gm)].map(
    ([, name, value]) => [name as string, value as string] as const,
  )
  return Object.fromEntries(fields.filter(([name]) => !/^(.Zxid|.time)$/.test(name)))
}

const plainStat = {
  cversion: '0',
  dataVersion: '0',
  aclVersion: '0',
  ephemeralOwner: '0x0',
  dataLength: '0',
  numChildren: '0',
}

describeWith(peers.zookeeper, 'zkCli.sh 3.8', () => {
  let server: TestServer
  let cli: ZkCli
  beforeAll(async () => {
    const flags = ['--reconfig-enabled', 'true']
    server = await TestServer.start({ enforceQuota: true, flags })
    cli = await ZkCli.connected(server.port)
  })
  afterAll(async () => {
    cli?.kill()
    await server?.[Symbol.asyncDispose]()
  })

  it('creates nodes of every mode', async () => {
    expect(await cli.run('create /cli "hello world"')).toBe('Created /cli')
    expect(await cli.run('create -e /cli/eph e')).toBe('Created /cli/eph')
    expect(await cli.run('create -s /cli/seq- s')).toBe('Created /cli/seq-0000000001')
    expect(await cli.run('create -s -e /cli/both- es')).toBe('Created /cli/both-0000000002')
    expect(await cli.run('create /cli/empty')).toBe('Created /cli/empty')
    expect(await cli.run('create /cli/closed x world:anyone:r')).toBe('Created /cli/closed')
  })

  it('refuses what can not be created', async () => {
    expect(await cli.run('create /cli x')).toBe('Node already exists: /cli')
    expect(await cli.run('create /no/parent x')).toBe('Node does not exist: /no/parent')
    expect(await cli.run('create /cli/eph/child x')).toBe('Ephemerals cannot have children: /cli/eph/child')
    expect(await cli.run('create /cli/closed/child x')).toContain('Insufficient permission : /cli/closed/child')
    expect(await cli.run('create relative x')).toContain('Path must start with / character')
  })

  it('lists: plain, recursive, with stat', async () => {
    expect(await cli.run('ls /cli')).toBe('[both-0000000002, closed, empty, eph, seq-0000000001]')
    const tree = ['/cli', '/cli/both-0000000002', '/cli/closed', '/cli/empty', '/cli/eph', '/cli/seq-0000000001']
    expect((await cli.run('ls -R /cli')).split('\n')).toEqual(tree)
    const listed = await cli.run('ls -s /cli')
    expect(listed.split('\n')[0]).toBe('[both-0000000002, closed, empty, eph, seq-0000000001]')
    expect(statOf(listed)).toEqual({ ...plainStat, cversion: '5', dataLength: '11', numChildren: '5' })
    expect(await cli.run('ls /nope')).toBe('Node does not exist: /nope')
    expect(await cli.run('ls /')).toBe('[cli, zookeeper]')
  })

  it('reads and writes data, with and without a version', async () => {
    expect(await cli.run('get /cli')).toBe('hello world')
    const read = await cli.run('get -s /cli')
    expect(read.split('\n')[0]).toBe('hello world')
    expect(statOf(read)).toMatchObject({ dataVersion: '0', dataLength: '11' })
    expect(await cli.run('set /cli v1')).toBe('')
    expect(statOf(await cli.run('set -s /cli v2'))).toMatchObject({ dataVersion: '2', dataLength: '2' })
    expect(await cli.run('set -v 2 /cli v3')).toBe('')
    expect(await cli.run('set -v 2 /cli v4')).toBe('version No is not valid : /cli')
    expect(await cli.run('get /cli')).toBe('v3')
    expect(await cli.run('get /cli/empty')).toBe('null')
    expect(await cli.run('get /nope')).toBe('Node does not exist: /nope')
    expect(await cli.run('set /nope x')).toBe('Node does not exist: /nope')
  })

  it('shows a stat, also the owner of an ephemeral', async () => {
    expect(statOf(await cli.run('stat /cli/closed'))).toEqual({ ...plainStat, dataLength: '1' })
    expect(statOf(await cli.run('stat /cli/eph')).ephemeralOwner).toMatch(/^0x[0-9a-f]{3,16}$/)
    expect(await cli.run('stat /nope')).toBe('Node does not exist: /nope')
  })

  it('prints the events of its watches', async () => {
    await cli.run('create /w x')
    await cli.run('ls -w /w')
    await cli.run('create /w/child x')
    await cli.event(event('NodeChildrenChanged', '/w'))
    await cli.run('get -w /w')
    await cli.run('set /w y')
    await cli.event(event('NodeDataChanged', '/w'))
    await cli.run('stat -w /w/child')
    await cli.run('delete /w/child')
    await cli.event(event('NodeDeleted', '/w/child'))
  })

  it('sees changes of another client, also as an event', async () => {
    await cli.run('get -w /w')
    const other = await ZkClient.connect(server.port)
    expect((await other.delete('/w')).err).toBe(Err.ok)
    await other.close()
    await cli.event(event('NodeDeleted', '/w'))
    expect(await cli.run('sync /')).toBe('Sync is OK')
    expect(await cli.run('get /w')).toBe('Node does not exist: /w')
  })

  it('handles ACLs and identities', async () => {
    expect(await cli.run('getAcl /cli')).toBe("'world,'anyone\n: cdrwa")
    expect(await cli.run('getAcl /cli/closed')).toBe("'world,'anyone\n: r")
    expect(await cli.run('set /cli/closed x')).toContain('Insufficient permission : /cli/closed')
    expect(await cli.run('setAcl /cli auth::cdrwa')).toContain('Acl is not valid : /cli')
    expect(await cli.run('addauth digest ann:secret')).toBe('')
    expect(await cli.run('create /ann x auth::cdrwa')).toBe('Created /ann')
    expect(await cli.run('getAcl /ann')).toBe("'digest,'ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=\n: cdrwa")
    expect(await cli.run('setAcl /cli/empty world:anyone:rwa')).toBe('')
    expect(statOf(await cli.run('getAcl -s /cli/empty'))).toMatchObject({ aclVersion: '1', dataVersion: '0' })
    expect(await cli.run('setAcl -v 0 /cli/empty world:anyone:cdrwa')).toBe('version No is not valid : /cli/empty')
    const other = await ZkClient.connect(server.port)
    expect((await other.getData('/ann')).err).toBe(Err.noAuth)
    await other.close()
  })

  it('deletes nodes, trees, and refuses what can not be deleted', async () => {
    expect(await cli.run('delete /cli')).toBe('Node not empty: /cli')
    expect(await cli.run('delete -v 7 /cli/empty')).toBe('version No is not valid : /cli/empty')
    expect(await cli.run('delete -v 0 /cli/empty')).toBe('')
    expect(await cli.run('delete /cli/empty')).toBe('Node does not exist: /cli/empty')
    await cli.run('create /cli/seq-0000000001/below x')
    await cli.run('create /cli/seq-0000000001/below/deep x')
    expect(await cli.run('deleteall /cli')).toBe('')
    expect(await cli.run('ls /cli')).toBe('Node does not exist: /cli')
  })

  it('makes containers and TTL nodes, which show no owner', async () => {
    await cli.run('create /kinds')
    expect(await cli.run('create -c /kinds/container x')).toBe('Created /kinds/container')
    expect(await cli.run('create -t 300000 /kinds/ttl x')).toBe('Created /kinds/ttl')
    expect(await cli.run('create -t 300000 -s /kinds/ttl- x')).toBe('Created /kinds/ttl-0000000002')
    for (const path of ['/kinds/container', '/kinds/ttl']) {
      expect(statOf(await cli.run(`stat ${path}`))).toEqual({ ...plainStat, dataLength: '1' })
    }
    expect(await cli.run('getAllChildrenNumber /kinds')).toBe('3')
    expect(await cli.run('deleteall /kinds')).toBe('')
  })

  it('sets, lists, enforces and removes quotas', async () => {
    const limits = 'absolute path is /zookeeper/quota/qq/zookeeper_limits\n'
    await cli.run('create /qq x')
    expect(await cli.run('listquota /qq')).toBe(`${limits}quota for /qq does not exist.`)
    expect(await cli.run('setquota -N 2 /qq')).toBe('')
    expect(await cli.run('create /qq/a abc')).toBe('Created /qq/a')
    expect(await cli.run('listquota /qq')).toBe(
      `${limits}Output quota for /qq count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2\nOutput stat for /qq count=2,bytes=4`,
    )
    expect(await cli.run('create /qq/b x')).toBe('Quota has exceeded : /qq/b')
    expect(await cli.run('setquota -n 5 /qq/a')).toBe('/qq/a has a parent /qq which has a quota')
    expect(await cli.run('delquota /qq')).toBe('')
    expect(await cli.run('listquota /qq')).toBe(`${limits}quota for /qq does not exist.`)
    expect(await cli.run('ls /zookeeper/quota')).toBe('[]')
    expect(await cli.run('create /qq/b x')).toBe('Created /qq/b')
    expect(await cli.run('deleteall /qq')).toBe('')
  })

  it('knows its ephemerals, who it is, and the configuration', async () => {
    for (const path of ['/eph', '/eph2']) await cli.run(`create -e ${path} x`)
    expect(await cli.run('getEphemerals')).toBe('[/eph, /eph2]')
    expect(await cli.run('getEphemerals /eph2')).toBe('[/eph2]')
    for (const path of ['/eph', '/eph2']) await cli.run(`delete ${path}`)
    expect(await cli.run('whoami')).toMatch(
      /^Auth scheme: User\n(ip: 127.0.0.1\ndigest: ann|digest: ann\nip: 127.0.0.1)$/,
    )
    expect(await cli.run('config')).toBe('')
    expect(await cli.run('getAcl /zookeeper/config')).toBe("'world,'anyone\n: r")
    expect(await cli.run('reconfig -remove 2')).toBe('KeeperErrorCode = Unimplemented')
  })

  it('quits, and its ephemerals go with it', async () => {
    expect(await cli.run('create -e /last x')).toBe('Created /last')
    expect(await cli.quit()).toBe(0)
    // Whether it still prints that it is closed depends on which of its threads is faster.
    const other = await ZkClient.connect(server.port)
    expect((await other.exists('/last')).err).toBe(Err.noNode)
    await other.close()
  })

  it('does one command from the shell, with an exit code', async () => {
    const one = (...command: string[]) =>
      promisify(execFile)(ZKCLI, ['-server', `127.0.0.1:${server.port}`, ...command], { timeout: 20_000 })
    expect((await one('ls', '/')).stdout).toContain('[ann, zookeeper]')
    await expect(one('get', '/nope')).rejects.toMatchObject({ code: 1 })
  })
})
