// The four-letter words, letter by letter in ZooKeeper's form.

import { describe, expect, it } from 'vitest'
import { create, getData, setData, type WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { OP } from './codec/opcodes.ts'
import { REPORT_LINES_MAX } from './operator-reports.ts'
import type { StorageFacts } from './server-options.ts'

function ask(harness: ZooKeeperHarness, word: string): string {
  const socket = harness.socket('10.1.2.3')
  socket.send(Buffer.from(word))
  expect(socket.ended).toBe(true)
  socket.close()
  return socket.text()
}

async function withClient(): Promise<{ harness: ZooKeeperHarness; client: WireClient }> {
  const harness = await ZooKeeperHarness.start({
    server: {
      process: {
        environment: [
          ['host.name', 'here'],
          ['os.name', 'Linux'],
        ],
        fileDescriptors: () => ({ open: 12, max: 1024 }),
      },
    },
  })
  const client = harness.client({ timeoutMs: 9000 })
  client.create('/a')
  harness.hold()
  client.send(setData('/a', '1'))
  harness.pass(7)
  harness.release()
  client.take()
  return { harness, client }
}

describe('four-letter words', () => {
  it('ruok, isro', async () => {
    const harness = await ZooKeeperHarness.start()
    expect([ask(harness, 'ruok'), ask(harness, 'isro')]).toEqual(['imok', 'rw'])
  })

  it('srvr', async () => {
    const { harness } = await withClient()
    expect(ask(harness, 'srvr')).toBe(
      [
        'Zookeeper version: 3.9.5',
        'Latency min/avg/max: 0/3.5/7',
        'Received: 4',
        'Sent: 3',
        'Connections: 2',
        'Outstanding: 0',
        'Zxid: 0x3',
        'Mode: standalone',
        'Node count: 5',
        'Delos version: 1.2.3',
        '',
      ].join('\n'),
    )
  })

  it('stat', async () => {
    const { harness, client } = await withClient()
    harness.hold()
    client.send(setData('/a', '2'))
    expect(ask(harness, 'stat')).toBe(
      [
        'Zookeeper version: 3.9.5',
        'Clients:',
        ' /127.0.0.1:40000[1](queued=1,recved=4,sent=3)',
        ' /10.1.2.3:40001[0](queued=0,recved=1,sent=0)',
        '',
        'Latency min/avg/max: 0/3.5/7',
        'Received: 5',
        'Sent: 3',
        'Connections: 2',
        'Outstanding: 1',
        'Zxid: 0x3',
        'Mode: standalone',
        'Node count: 5',
        'Delos version: 1.2.3',
        '',
      ].join('\n'),
    )
  })

  it('cons', async () => {
    const { harness, client } = await withClient()
    harness.pass(1000)
    client.send({ op: OP.ping })
    harness.turn()
    expect(ask(harness, 'cons')).toBe(
      ' /127.0.0.1:40000[1](queued=0,recved=4,sent=4,sid=0x100000000000001,lop=PING,est=0,to=9000,lcxid=0x2,lzxid=0x3,' +
        'lresp=1007,llat=0,minlat=0,avglat=2,maxlat=7)\n /10.1.2.3:40001[0](queued=0,recved=1,sent=0)\n\n',
    )
  })

  it('cons of a session that has asked for nothing, and over IPv6', async () => {
    const harness = await ZooKeeperHarness.start()
    harness.client({ address: '::1' })
    expect(ask(harness, 'cons')).toContain(
      ' /[::1]:40000[1](queued=0,recved=1,sent=1,sid=0x100000000000001,lop=SESS,est=0,to=10000,lzxid=0x0,lresp=0,',
    )
  })

  it('mntr: figures one a line, behind a tab, all of them with zk_ in front', async () => {
    const { harness, client } = await withClient()
    client.ask(getData('/a', true))
    client.ask(create('/e', '', 1))
    const lines = ask(harness, 'mntr').trimEnd().split('\n')
    expect(lines.every((line) => /^zk_\w+\t-?[\w.]+$/.test(line))).toBe(true)
    expect(lines.slice(0, 3)).toEqual(['zk_version\t3.9.5', 'zk_delos_version\t1.2.3', 'zk_server_state\tstandalone'])
    expect(Object.fromEntries(lines.map((line) => line.split('\t')))).toMatchObject({
      zk_min_latency: '0',
      zk_avg_latency: '1.75',
      zk_max_latency: '7',
      zk_packets_received: '6',
      zk_packets_sent: '5',
      zk_bytes_received_count: expect.stringMatching(/^\d{3}$/),
      zk_num_alive_connections: '2',
      zk_outstanding_requests: '0',
      zk_auth_failed_count: '0',
      zk_connection_request_count: '2',
      zk_connection_rejected: '0',
      zk_sessionless_connections_expired: '0',
      zk_large_requests_rejected: '0',
      zk_znode_count: '6',
      zk_watch_count: '1',
      zk_ephemerals_count: '1',
      zk_approximate_data_size: expect.stringMatching(/^\d+$/),
      zk_global_sessions: '1',
      zk_local_sessions: '0',
      zk_open_file_descriptor_count: '12',
      zk_max_file_descriptor_count: '1024',
      zk_uptime: '7',
      zk_avg_updatelatency: '2.3333',
      zk_cnt_updatelatency: '3',
      zk_max_updatelatency: '8',
      zk_cnt_readlatency: '1',
      zk_p99_readlatency: '0',
      zk_cnt_fsynctime: '0',
      zk_sum_node_created_watch_count: '0',
    })
  })

  it('conf', async () => {
    const harness = await ZooKeeperHarness.start({ limits: { connectionsPerIpMax: 60, connectionsMax: 500 } })
    expect(ask(harness, 'conf')).toBe(
      [
        'clientPort=2181',
        'secureClientPort=-1',
        'dataDir=./data',
        'dataDirSize=0',
        'dataLogDir=./data',
        'dataLogSize=0',
        'tickTime=2000',
        'maxClientCnxns=60',
        'minSessionTimeout=4000',
        'maxSessionTimeout=40000',
        'clientPortListenBacklog=1024',
        'serverId=0',
        'maxCnxns=500',
        '',
      ].join('\n'),
    )
  })

  it('envi', async () => {
    const { harness } = await withClient()
    expect(ask(harness, 'envi')).toBe(
      'Environment:\nzookeeper.version=3.9.5\nhost.name=here\nos.name=Linux\ndelos.version=1.2.3\n',
    )
  })

  it.each(['dump', 'wchs', 'wchc', 'wchp', 'crst', 'srst', 'dirs', 'gtmk', 'stmk', 'hash'])(
    '%s is not in the list of what is allowed',
    async (word) => {
      const harness = await ZooKeeperHarness.start()
      expect(ask(harness, word)).toBe(`${word} is not executed because it is not in the whitelist.\n`)
    },
  )

  it('what is allowed is a list; srvr always is', async () => {
    const harness = await ZooKeeperHarness.start({ server: { fourLetterWords: ['wchs'] } })
    expect(ask(harness, 'wchs')).toBe('0 connections watching 0 paths\nTotal watches:0\n')
    expect(ask(harness, 'srvr')).toContain('Mode: standalone')
    expect(ask(harness, 'isro')).toBe('isro is not executed because it is not in the whitelist.\n')
    expect(ask(harness, 'ruok')).toBe('ruok is not executed because it is not in the whitelist.\n')
  })

  it('an interrupted telnet is closed without a word', async () => {
    const harness = await ZooKeeperHarness.start()
    const socket = harness.socket()
    socket.send(Buffer.of(0xff, 0xf4, 0xff, 0xfd, 0x06))
    expect([socket.ended, socket.text(), harness.logged]).toEqual([true, '', []])
  })

  it('a word is one only as the first thing that a connection says, and only as a whole', async () => {
    const harness = await ZooKeeperHarness.start(ALL_WORDS)
    const socket = harness.socket()
    for (const letter of 'dirs') socket.send(Buffer.from(letter))
    expect(socket.text()).toBe('datadir_size: 0\nlogdir_size: 0\n')
  })
})

const ALL_WORDS = { server: { fourLetterWords: ['*'] } }

/** Two sessions that watch and own something. */
async function watchers(): Promise<ZooKeeperHarness> {
  const harness = await ZooKeeperHarness.start(ALL_WORDS)
  const [a, b] = [harness.client({ timeoutMs: 8000 }), harness.client({ timeoutMs: 12_000 })]
  a.create('/w')
  a.create('/w/x')
  a.create('/e1', '', 1)
  a.create('/w/e2', '', 1)
  b.create('/e3', '', 1)
  a.ask(getData('/w', true))
  a.ask({ op: OP.getChildren, path: '/w', watch: true })
  a.ask(getData('/w/x', true))
  b.ask(getData('/w', true))
  b.ask({ op: OP.exists, path: '/nope', watch: true })
  return harness
}

describe('four-letter words that are not allowed by default', () => {
  it('wchs counts the watches of data, wchc and wchp list them', async () => {
    const harness = await watchers()
    expect(ask(harness, 'wchs')).toBe('2 connections watching 3 paths\nTotal watches:4\n')
    expect(ask(harness, 'wchc')).toBe('0x100000000000001\n\t/w\n\t/w/x\n0x100000000000002\n\t/w\n\t/nope\n\n')
    expect(ask(harness, 'wchp')).toBe(
      '/w\n\t0x100000000000001\n\t0x100000000000002\n/w/x\n\t0x100000000000001\n/nope\n\t0x100000000000002\n\n',
    )
  })

  it('dump lists sessions by when they end, ephemerals and connections', async () => {
    const harness = await watchers()
    expect(ask(harness, 'dump')).toBe(
      [
        'SessionTracker dump:',
        'Session Sets (2)/(2):',
        '1 expire at Thu Jan 01 00:00:10 UTC 1970:',
        '\t0x100000000000001',
        '1 expire at Thu Jan 01 00:00:14 UTC 1970:',
        '\t0x100000000000002',
        'ephemeral nodes dump:',
        'Sessions with Ephemerals (2):',
        '0x100000000000001:',
        '\t/e1',
        '\t/w/e2',
        '0x100000000000002:',
        '\t/e3',
        'Connections dump:',
        'Connections Sets (3)/(3):',
        '1 expire at Thu Jan 01 00:00:10 UTC 1970:',
        '\tip: /127.0.0.1:40000 sessionId: 0x100000000000001',
        '1 expire at Thu Jan 01 00:00:12 UTC 1970:',
        '\tip: /10.1.2.3:40002 sessionId: 0x0',
        '1 expire at Thu Jan 01 00:00:14 UTC 1970:',
        '\tip: /127.0.0.1:40001 sessionId: 0x100000000000002',
        '',
      ].join('\n'),
    )
  })

  it('a long list is cut, and its last line says so', async () => {
    const harness = await ZooKeeperHarness.start(ALL_WORDS)
    const client = harness.client()
    for (let i = 0; i <= REPORT_LINES_MAX; i++) client.send({ op: OP.exists, path: `/n${i}`, watch: true })
    for (const word of ['wchc', 'wchp']) {
      const lines = ask(harness, word).trimEnd().split('\n')
      expect(lines.at(-1)).toBe(`... cut after ${REPORT_LINES_MAX} lines`)
      expect(lines.filter((line) => line.startsWith('\t')).length).toBe(REPORT_LINES_MAX)
    }
    expect(ask(harness, 'wchs')).toContain(`Total watches:${REPORT_LINES_MAX + 1}`)
  })

  it('srst starts the figures of the server again, crst those of the connections', async () => {
    const harness = await watchers()
    expect(ask(harness, 'srst')).toBe('Server stats reset.\n')
    expect(ask(harness, 'srvr')).toMatch(/^Latency min\/avg\/max: 0\/0.0\/0\nReceived: 1\nSent: 0\n/m)
    expect(harness.server.stats.packetsReceived).toBeGreaterThan(10)
    expect(ask(harness, 'crst')).toBe('Connection stats reset.\n')
    expect(ask(harness, 'cons')).toContain(
      'queued=0,recved=0,sent=0,sid=0x100000000000001,lop=NA,est=0,to=8000,lzxid=0xffffffffffffffff,lresp=0,',
    )
  })

  it('dirs, hash, and the trace mask, which has no effect', async () => {
    const storage = () => ({ storeBytes: 12, logBytes: 34 }) as unknown as StorageFacts
    const harness = await ZooKeeperHarness.start({ server: { fourLetterWords: ['*'], storage: () => storage() } })
    expect(ask(harness, 'dirs')).toBe('datadir_size: 12\nlogdir_size: 34\n')
    expect(ask(harness, 'hash')).toBe('')
    expect(ask(harness, 'gtmk')).toBe('306')
    expect(ask(harness, 'stmk')).toBe('')
    expect(ask(harness, 'stmk\0\0\0\0\0\0\0\x07')).toBe('7')
    expect(ask(harness, 'gtmk')).toBe('7')
  })
})
