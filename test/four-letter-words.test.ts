// The four-letter words that monitoring tools send to the client port, and the lines that they look for.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FrameConnection, fourLetterWord } from './support/frame-connection.ts'
import { serverKind, TestServer } from './support/server.ts'
import { within } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'
import { Flags } from './support/zk-protocol.ts'

let server: TestServer
let client: ZkClient

beforeAll(async () => {
  server = await TestServer.start()
  client = await ZkClient.connect(server.port, { timeoutMs: 20_000 })
  succeeded(await client.create('/words', 'x'))
})
afterAll(() => server[Symbol.asyncDispose]())

const ask = (word: string): Promise<string> => fourLetterWord(server.port, word)

async function mntr(): Promise<Map<string, string>> {
  const lines = (await ask('mntr')).trimEnd().split('\n')
  return new Map(lines.map((line) => line.split('\t') as [string, string]))
}

describe('four-letter words', () => {
  it('ruok is answered imok, without a newline', async () => {
    expect(await ask('ruok')).toBe('imok')
  })

  it('isro is answered rw', async () => {
    expect((await ask('isro')).trim()).toBe('rw')
  })

  it('srvr has the lines that tools parse', async () => {
    const zxid = (await client.sync('/')).zxid
    const srvr = await ask('srvr')
    expect(srvr).toMatch(/^Zookeeper version: \d+\.\d+\.\d+/)
    expect(srvr).toMatch(/^Latency min\/avg\/max: \d+\/[\d.]+\/\d+$/m)
    expect(srvr).toMatch(/^Received: \d+$/m)
    expect(srvr).toMatch(/^Sent: \d+$/m)
    expect(srvr).toMatch(/^Connections: \d+$/m)
    expect(srvr).toMatch(/^Outstanding: \d+$/m)
    expect(srvr).toMatch(new RegExp(`^Zxid: 0x${zxid.toString(16)}$`, 'm'))
    expect(srvr).toMatch(/^Mode: standalone$/m)
    expect(srvr).toMatch(/^Node count: \d+$/m)
  })

  it('stat lists the connections and what srvr says', async () => {
    const stat = await ask('stat')
    expect(stat).toMatch(/^Zookeeper version: /)
    expect(stat).toMatch(/^Clients:\n(?: \/127\.0\.0\.1:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+\)\n)+/m)
    expect(stat).toMatch(/^Mode: standalone$/m)
    expect(stat).toMatch(/^Node count: \d+$/m)
  })

  it('mntr has the figures that dashboards read, one per line behind a tab', async () => {
    const figures = await mntr()
    for (const name of [
      'avg_latency',
      'max_latency',
      'min_latency',
      'packets_received',
      'packets_sent',
      'num_alive_connections',
    ]) {
      expect([name, figures.get(`zk_${name}`)]).toEqual([name, expect.stringMatching(/^[\d.]+$/)])
    }
    for (const name of [
      'outstanding_requests',
      'znode_count',
      'watch_count',
      'ephemerals_count',
      'approximate_data_size',
      'open_file_descriptor_count',
    ]) {
      expect([name, figures.get(`zk_${name}`)]).toEqual([name, expect.stringMatching(/^[\d.]+$/)])
    }
    expect(figures.get('zk_server_state')).toBe('standalone')
    expect(figures.get('zk_version')).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('mntr counts nodes, ephemerals, watches and connections', async () => {
    const figures = async (): Promise<number[]> => {
      const now = await mntr()
      return ['znode_count', 'ephemerals_count', 'watch_count', 'num_alive_connections'].map((name) =>
        Number(now.get(`zk_${name}`)),
      )
    }
    const before = await figures()
    const guest = await ZkClient.connect(server.port)
    succeeded(await guest.create('/words/a', ''))
    succeeded(await guest.create('/words/b', '', Flags.ephemeral))
    succeeded(await guest.getData('/words', true))
    succeeded(await guest.getChildren('/words', true))
    const after = await figures()
    expect(after.map((figure, i) => figure - (before[i] as number))).toEqual([2, 1, 2, 1])
    await guest.close()
    expect(succeeded(await client.getChildren('/words'))).toEqual(['a'])
  })

  it('conf names the port and the limits', async () => {
    const conf = await ask('conf')
    expect(conf).toMatch(new RegExp(`^clientPort=${server.port}$`, 'm'))
    expect(conf).toMatch(/^dataDir=\S+$/m)
    expect(conf).toMatch(/^tickTime=2000$/m)
    expect(conf).toMatch(/^maxClientCnxns=0$/m)
    expect(conf).toMatch(/^minSessionTimeout=4000$/m)
    expect(conf).toMatch(/^maxSessionTimeout=40000$/m)
    expect(conf).toMatch(/^serverId=\d+$/m)
  })

  it('cons names the session of each connection', async () => {
    const cons = await ask('cons')
    const id = BigInt.asUintN(64, client.session.id).toString(16)
    expect(cons).toMatch(
      new RegExp(`^ /127\\.0\\.0\\.1:\\d+\\[\\d+\\]\\(queued=\\d+,recved=\\d+,sent=\\d+,sid=0x${id},.*to=20000,`, 'm'),
    )
  })

  it('envi has the version in the line that kazoo parses', async () => {
    const envi = await ask('envi')
    expect(envi).toMatch(/^Environment:\n/)
    expect(envi).toMatch(serverKind === 'delos' ? /^zookeeper\.version=3\.9\.5/m : /^zookeeper\.version=3\.8/m)
  })

  it.each(['dump', 'wchs', 'wchc', 'crst', 'dirs'])(
    '%s is refused as not in the list of what is allowed',
    async (word) => {
      expect((await ask(word)).trimEnd()).toBe(`${word} is not executed because it is not in the whitelist.`)
    },
  )

  it('a word that does not exist is a frame far too long: closed', async () => {
    expect(await ask('abcd')).toBe('')
  })

  it('four bytes that come one by one are a word too', async () => {
    const connection = await FrameConnection.open(server.port)
    const answer = connection.readToEnd()
    for (const letter of 'ruok') {
      connection.write(Buffer.from(letter))
      await new Promise(setImmediate)
    }
    expect(await answer).toBe('imok')
    await within(connection.closed, 2000, 'close')
  })

  it('a word behind a handshake is no word', async () => {
    await using guest = await ZkClient.connect(server.port)
    guest.writeRaw(Buffer.from('ruok'))
    await within(guest.closed, 2000, 'close')
  })
})
