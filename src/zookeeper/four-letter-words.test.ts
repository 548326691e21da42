// The four-letter words, letter by letter in ZooKeeper's form.

import { describe, expect, it } from 'vitest'
import { create, getData, setData, type WireClient, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import { OP } from './codec/opcodes.ts'

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
    expect(lines.every((line) => /^zk_\w+\t[\w.]+$/.test(line))).toBe(true)
    expect(Object.fromEntries(lines.map((line) => line.split('\t')))).toEqual({
      zk_version: '3.9.5',
      zk_delos_version: '1.2.3',
      zk_server_state: 'standalone',
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
    })
  })

  it('conf', async () => {
    const harness = await ZooKeeperHarness.start({ limits: { connectionsPerIpMax: 60, connectionsMax: 500 } })
    expect(ask(harness, 'conf')).toBe(
      [
        'clientPort=2181',
        'secureClientPort=-1',
        'dataDir=./data',
        'dataLogDir=./data',
        'tickTime=2000',
        'maxClientCnxns=60',
        'minSessionTimeout=4000',
        'maxSessionTimeout=40000',
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

  it('an interrupted telnet is closed without a word', async () => {
    const harness = await ZooKeeperHarness.start()
    const socket = harness.socket()
    socket.send(Buffer.of(0xff, 0xf4, 0xff, 0xfd, 0x06))
    expect([socket.ended, socket.text(), harness.logged]).toEqual([true, '', []])
  })
})
