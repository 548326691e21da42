// The AdminServer over a protocol server in this process. That its answers are a real ZooKeeper's, key by key, is in
// test/admin-server.test.ts.

import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { TestSocket } from '../../test/support/test-socket.ts'
import { getData, type HarnessOptions, ZooKeeperHarness } from '../../test/support/zookeeper-harness.ts'
import type { Connection, ConnectionEvents, Network } from '../runtime/network.ts'
import { OP } from '../zookeeper/codec/opcodes.ts'
import { adminRoutes } from './admin-server.ts'

async function admin(options: HarnessOptions = {}) {
  const harness = await ZooKeeperHarness.start(options)
  const warned: object[] = []
  let serving = true
  const app = Fastify()
  adminRoutes({
    server: () => (serving ? harness.server : undefined),
    warn: (fields) => warned.push(fields),
    connected: () => undefined,
  })(app)
  const ask = (url: string, headers: Record<string, string> = {}, method: 'GET' | 'POST' = 'GET') =>
    app.inject({ method, url, headers })
  const json = async (url: string) => (await ask(url)).json() as Record<string, unknown>
  const stop = () => {
    serving = false
  }
  return { harness, app, ask, json, warned, stop }
}

const NAMES = [
  ['connection_stat_reset', 'crst'],
  ['configuration', 'conf', 'config'],
  ['connections', 'cons'],
  ['hash'],
  ['dirs'],
  ['dump'],
  ['environment', 'env', 'envi'],
  ['get_trace_mask', 'gtmk'],
  ['set_trace_mask', 'stmk'],
  ['initial_configuration', 'icfg'],
  ['is_read_only', 'isro'],
  ['last_snapshot', 'lsnp'],
  ['leader', 'lead'],
  ['monitor', 'mntr'],
  ['observer_connection_stat_reset', 'orst'],
  ['observers', 'obsr'],
  ['ruok'],
  ['server_stats', 'srvr'],
  ['stats', 'stat'],
  ['stat_reset', 'srst'],
  ['system_properties', 'sysp'],
  ['voting_view'],
  ['watches', 'wchc'],
  ['watches_by_path', 'wchp'],
  ['watch_summary', 'wchs'],
  ['zabstate'],
] as const

describe('the AdminServer', () => {
  it('lists its commands as links', async () => {
    const { ask } = await admin()
    const names = [...NAMES.map(([primary]) => primary), 'restore', 'snapshot'].sort()
    const page = names.map((name) => `<a href="/commands/${name}">${name}</a>\n<br/>\n`).join('')
    expect((await ask('/commands')).body).toBe(page)
    expect((await ask('/commands/')).body).toBe(page)
    expect((await ask('/')).statusCode).toBe(404)
  })

  it.each(NAMES.map((names) => [names[0], names]))('%s answers by all its names, under its first', async (_, names) => {
    const { ask } = await admin()
    for (const name of names) {
      const answer = await ask(`/commands/${name}`)
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/json'])
      expect(answer.json()).toMatchObject({ command: names[0] })
    }
  })

  it('is indented as ZooKeeper prints it', async () => {
    const { ask } = await admin()
    expect((await ask('/commands/connections')).body).toBe(
      '{\n  "connections" : [ ],\n  "secure_connections" : [ ],\n  "command" : "connections",\n  "error" : null\n}',
    )
    expect((await ask('/commands/leader')).body).toBe(
      '{\n  "error" : "server is not initialized",\n  "command" : "leader"\n}',
    )
    expect((await ask('/commands/monitor')).body).toContain('  "avg_latency" : 0.0,\n')
  })

  it('an unknown command is answered 200 with an error', async () => {
    const { ask } = await admin()
    for (const [url, name] of [
      ['nope', 'nope'],
      ['ruok/x', 'ruok/x'],
      ['%3Cb%3E?a=1', '<b>'],
    ]) {
      const answer = await ask(`/commands/${url}`)
      expect([answer.statusCode, answer.json()]).toEqual([200, { command: name, error: `Unknown command: ${name}` }])
    }
  })

  it('TRACE is forbidden, POST of what is asked for by GET not allowed', async () => {
    const { app } = await admin()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { request } = await import('node:http')
    const status = await new Promise((resolve) => {
      const port = (app.server.address() as { port: number }).port
      request({ port, method: 'TRACE', path: '/commands/ruok' }, (answer) => resolve(answer.statusCode)).end()
    })
    await app.close()
    expect(status).toBe(403)
    const other = await admin()
    expect((await other.ask('/commands/ruok', {}, 'POST')).statusCode).toBe(405)
    expect((await other.ask('/commands/restore')).statusCode).toBe(405)
  })

  it('sessions, watches, ephemerals and connections carry the ids of the wire', async () => {
    const { harness, ask, json } = await admin()
    const client = harness.client({ timeoutMs: 8000 })
    client.create('/w')
    client.create('/w/e', '', 1)
    client.ask(getData('/w', true))
    client.ask({ op: OP.exists, path: '/nope', watch: true })
    const id = '72057594037927937'
    expect((await ask('/commands/dump')).body).toBe(
      `{\n  "expiry_time_to_session_ids" : {\n    "10000" : [ ${id} ]\n  },\n  "session_id_to_ephemeral_paths" : {\n` +
        `    "${id}" : [ "/w/e" ]\n  },\n  "command" : "dump",\n  "error" : null\n}`,
    )
    expect(await json('/commands/watches')).toMatchObject({ session_id_to_watched_paths: { [id]: ['/w', '/nope'] } })
    expect((await ask('/commands/watches_by_path')).body).toContain(`"/w" : [ ${id} ],\n    "/nope" : [ ${id} ]`)
    expect(await json('/commands/watch_summary')).toMatchObject({
      num_connections: 1,
      num_paths: 2,
      num_total_watches: 2,
    })
    expect((await ask('/commands/connections')).body).toContain(
      `"remote_socket_address" : "127.0.0.1:40000",\n    "interest_ops" : 1,\n    "outstanding_requests" : 0,\n` +
        `    "packets_received" : 5,\n    "packets_sent" : 5,\n    "session_id" : ${id},\n    "last_operation" : "EXIS",`,
    )
    expect(await json('/commands/stats')).toMatchObject({
      server_stats: { packets_sent: 5, client_response_stats: { last_buffer_size: 16 } },
      node_count: 6,
      connections: [{ remote_socket_address: '127.0.0.1:40000', packets_sent: 5 }],
    })
    expect(await json('/commands/stat_reset')).toEqual({ command: 'stat_reset', error: null })
    expect(await json('/commands/server_stats')).toMatchObject({ server_stats: { packets_sent: 0, max_latency: 0 } })
    await json('/commands/connection_stat_reset')
    expect(await json('/commands/connections')).toMatchObject({
      connections: [{ packets_sent: 0, last_operation: 'NA' }],
    })
  })

  it('connections of the port for TLS stand apart', async () => {
    const { harness, json } = await admin({ server: { fourLetterWords: ['*'] } })
    harness.socket('10.0.0.1')
    let accept: ((connection: Connection) => ConnectionEvents) | undefined
    const listener = { host: '127.0.0.1', port: 2281, close: async () => undefined }
    const listen: Network['listen'] = async (_, accepting) => {
      accept = accepting
      return listener
    }
    await harness.server.listenAt({ listen }, listener.port)
    accept?.(new TestSocket('10.0.0.2', 5))
    expect(await json('/commands/connections')).toMatchObject({
      connections: [{ remote_socket_address: expect.stringMatching(/^10\.0\.0\.1:/) }],
      secure_connections: [{ remote_socket_address: '10.0.0.2:5' }],
    })
    const socket = harness.socket()
    socket.send(Buffer.from('conf'))
    expect(socket.text()).toContain('\nsecureClientPort=2281\n')
  })

  it('the trace mask is a long', async () => {
    const { ask, json } = await admin()
    expect(await json('/commands/get_trace_mask')).toMatchObject({ tracemask: 306 })
    expect((await ask('/commands/stmk?traceMask=-9223372036854775808')).body).toContain('-9223372036854775808')
    const error = 'setTraceMask requires long traceMask argument'
    expect(await json('/commands/stmk')).toEqual({ error, command: 'set_trace_mask' })
    for (const mask of ['x', '9223372036854775808']) {
      expect(await json(`/commands/stmk?traceMask=${mask}`)).toMatchObject({ error: `${error}, got ${mask}` })
    }
  })

  it('the configuration file is shown without the secrets in it', async () => {
    const initialConfiguration =
      'tickTime=2000\nssl.keyStore.password=abc\nDigestAuthenticationProvider.superDigest : x:y\n'
    const { json } = await admin({ server: { initialConfiguration } })
    expect(await json('/commands/icfg')).toMatchObject({
      initial_configuration:
        'tickTime=2000\nssl.keyStore.password=***\nDigestAuthenticationProvider.superDigest :***\n',
    })
  })

  it('says so while the database does not serve', async () => {
    const { json, stop } = await admin()
    stop()
    expect(await json('/commands/ruok')).toEqual({
      command: 'ruok',
      error: 'This ZooKeeper instance is not currently serving requests',
    })
  })
})

describe('snapshot and restore', () => {
  const alice = { authorization: 'digest alice:secret' }

  it('need an identity, and every permission on the root', async () => {
    const { harness, ask, warned } = await admin()
    const missing = await ask('/commands/snapshot')
    expect([missing.statusCode, missing.json()]).toEqual([
      401,
      { command: 'snapshot', error: 'Auth info is missing for the command' },
    ])
    for (const authorization of ['kerberos x', 'digest', 'digest a:b c', 'Bearer x']) {
      const refused = await ask('/commands/snap', { authorization })
      expect([authorization, refused.statusCode, refused.json().error]).toEqual([
        authorization,
        401,
        'Not authenticated',
      ])
    }
    expect([warned.length, harness.server.stats.authFailures]).toEqual([4, 4])
    const client = harness.client()
    const id = `alice:${createHash('sha1').update('alice:secret').digest('base64')}`
    client.ask({ op: OP.setAcl, path: '/', acl: [{ perms: 31, scheme: 'digest', id }], version: -1 })
    expect((await ask('/commands/restore', { authorization: 'digest bob:secret' }, 'POST')).statusCode).toBe(403)
    expect((await ask('/commands/restore', alice, 'POST')).statusCode).toBe(503)
    expect(warned.at(-1)).toMatchObject({ client: '127.0.0.1', command: 'restore' })
  })

  it('are answered with what to do instead, and not again within five minutes', async () => {
    const { harness, ask } = await admin()
    const first = await ask('/commands/snapshot', alice)
    expect([first.statusCode, first.json().error]).toEqual([503, expect.stringContaining('copy the data directory')])
    expect((await ask('/commands/snapshot', alice)).statusCode).toBe(429)
    expect(
      (await ask('/commands/restore', { ...alice, 'content-type': 'application/octet-stream' }, 'POST')).statusCode,
    ).toBe(503)
    harness.pass(300_000)
    expect((await ask('/commands/snapshot', alice)).statusCode).toBe(503)
    const { snapshotErrors, snapshotsLimited, restoreErrors, restoresLimited } = harness.server.stats
    expect([snapshotErrors, snapshotsLimited, restoreErrors, restoresLimited]).toEqual([2, 1, 1, 0])
  })
})
