// Who may talk to a server, through its ports: TLS with certificates good and bad, SASL from a file, changed files, refusals that
// operators see.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { saslResponse } from '../src/zookeeper/sasl.test-support.ts'
import { CertificateAuthority, type Issued, read } from './support/certificate-authority.ts'
import { FrameConnection } from './support/frame-connection.ts'
import { JuteReader, JuteWriter } from './support/jute.ts'
import { freePort, serverKind, TestServer } from './support/server.ts'
import { eventually } from './support/wait.ts'
import { encodeConnectRequest, ZkClient } from './support/zk-client.ts'

const OP_SASL = 102
const AUTH_FAILED = -115
const NO_AUTH = -102

/** Flags are Delos' own. */
describe.skipIf(serverKind !== 'delos')('access', () => {
  let authority: CertificateAuthority
  let alice: Issued
  let server: TestServer
  let securePort: number
  let metricsPort: number
  let serverCert: string

  beforeAll(async () => {
    authority = new CertificateAuthority()
    alice = authority.issue('alice', '/O=Example/CN=alice')
    const issued = authority.issue('server', '/CN=localhost')
    serverCert = issued.cert
    const users = join(authority.dir, 'jaas.conf')
    writeFileSync(
      users,
      'Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  user_bob="secret";\n};\n',
    )
    securePort = await freePort()
    metricsPort = await freePort()
    const flags = {
      'secure-client-port': String(securePort),
      'port-unification': 'true',
      'metrics-port': String(metricsPort),
      'tls-cert': issued.cert,
      'tls-key': issued.key,
      'tls-ca': authority.ca,
      'tls-crl': authority.revoked(),
      'tls-reload-ms': '100',
      'tls-handshake-ms': '2000',
      'sasl-users': users,
      'x509-super-user': 'CN=root,O=Example',
    }
    server = await TestServer.start({ flags: Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]) })
  })
  afterAll(async () => {
    await server.kill()
  })

  const secure = (port: number, who?: Issued): Socket =>
    connect({
      port,
      host: '127.0.0.1',
      ca: readFileSync(authority.ca),
      checkServerIdentity: () => undefined,
      ...(who && read(who)),
    })

  const open = (socket: Socket): Promise<ZkClient> => ZkClient.over(FrameConnection.of(socket))

  /** Of the certificate that the server shows. */
  const subjectAt = (port: number): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...read(alice) }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN))
        socket.destroy()
      })
    })

  async function refusals(reason: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    return Number(new RegExp(`delos_zookeeper_refused_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1])
  }

  it('a client by TLS has the identity of its certificate, on both ports, and the super user every right', async () => {
    await using owner = await open(secure(securePort, alice))
    await owner.create('/owned', 'x', 0, [{ perms: 31, scheme: 'auth', id: '' }])
    expect((await owner.getAcl('/owned')).value?.acl).toEqual([{ perms: 31, scheme: 'x509', id: 'CN=alice,O=Example' }])
    await using unified = await open(secure(server.port, alice))
    expect((await unified.getData('/owned')).err).toBe(0)
    await using plain = await ZkClient.connect(server.port)
    expect((await plain.getData('/owned')).err).toBe(NO_AUTH)
    await using root = await open(secure(securePort, authority.issue('root', '/O=Example/CN=root')))
    expect((await root.getData('/owned')).err).toBe(0)
  })

  it('an alternative name of the certificate can be the identity, and without one there is none, which is logged', async () => {
    const port = await freePort()
    const flags = {
      'secure-client-port': String(port),
      'tls-cert': serverCert,
      'tls-key': serverCert.replace(/\.pem$/, '.key'),
      'tls-ca': authority.ca,
      'x509-name-kind': 'uri',
      'x509-name-match': '^spiffe:',
      'x509-name-extract': '([^/]+)$',
      'x509-name-group': '1',
      'x509-super-user': 'root',
    }
    await using other = await TestServer.start({
      flags: Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
    })
    const alternativeNames = 'URI:https://other,URI:spiffe://example/team/carol'
    const carol = authority.issue('carol', '/CN=whoever', { alternativeNames })
    await using owner = await open(secure(port, carol))
    await owner.create('/hers', 'x', 0, [{ perms: 31, scheme: 'auth', id: '' }])
    expect((await owner.getAcl('/hers')).value?.acl).toEqual([{ perms: 31, scheme: 'x509', id: 'carol' }])
    const root = authority.issue('root-uri', '/CN=x', { alternativeNames: 'URI:spiffe://example/root' })
    await using superUser = await open(secure(port, root))
    expect((await superUser.getData('/hers')).err).toBe(0)
    // The subject of its certificate is no way around.
    await using nameless = await open(secure(port, authority.issue('subject-only', '/CN=carol')))
    expect((await nameless.getData('/hers')).err).toBe(NO_AUTH)
    expect(other.logTail()).toMatch(/client=127\.0\.0\.1:\d+ .*0 alternative names of the certificate match/)
  })

  it('bad certificates and plain text are closed, counted and logged with address and reason', async () => {
    const revoked = authority.issue('gone', '/CN=gone')
    authority.revoke(revoked)
    authority.revoked()
    await eventually(() => server.logTail().includes('the files have changed') || undefined, 10_000, 'a reload')
    const expired = authority.issue('old', '/CN=old', { expired: true })
    const stranger = new CertificateAuthority('Other CA').issue('eve', '/CN=eve')
    for (const who of [undefined, expired, stranger, revoked]) {
      await expect(open(secure(securePort, who))).rejects.toThrow(/closed the connection/)
    }
    await expect(ZkClient.connect(securePort)).rejects.toThrow(/closed the connection/)
    expect(await refusals('tls-certificate')).toBe(4)
    expect(await refusals('tls-plain-text')).toBe(1)
    const log = server.logTail()
    for (const reason of ['no certificate', 'CERT_HAS_EXPIRED', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_REVOKED']) {
      expect(log).toMatch(new RegExp(`refused client=127\\.0\\.0\\.1:\\d+ reason="?${reason}`))
    }
  })

  it('a new certificate is taken without a restart', async () => {
    const renewed = authority.issue('renewed', '/CN=renewed')
    copyFileSync(renewed.key, serverCert.replace(/\.pem$/, '.key'))
    copyFileSync(renewed.cert, serverCert)
    await eventually(
      async () => (await subjectAt(securePort)) === 'renewed' || undefined,
      10_000,
      'the new certificate',
    )
  })

  it('certificates are taken anew while clients come in, and none of them fails', async () => {
    let failed = 0
    let opened = 0
    let done = false
    const come = async (port: number): Promise<void> => {
      while (!done) {
        try {
          await using client = await open(secure(port, alice))
          if ((await client.exists('/owned')).err !== 0) failed++
          opened++
        } catch {
          failed++
        }
      }
    }
    await using staying = await open(secure(securePort, alice))
    const coming = [come(securePort), come(server.port), come(securePort), come(server.port)]
    for (let i = 0; i < 4; i++) {
      const fresh = authority.issue(`fresh-${i}`, `/CN=fresh-${i}`)
      // The key first: what is read in between does not fit together, and is not taken.
      copyFileSync(fresh.key, serverCert.replace(/\.pem$/, '.key'))
      copyFileSync(fresh.cert, serverCert)
      await eventually(async () => (await subjectAt(securePort)) === `fresh-${i}` || undefined, 10_000, 'the new one')
    }
    done = true
    await Promise.all(coming)
    expect((await staying.exists('/owned')).err).toBe(0)
    expect([failed, opened > 20]).toEqual([0, true])
  })

  it('SASL takes the users of the file, and refuses others', async () => {
    const sasl = async (client: ZkClient, token: Uint8Array) =>
      client.request(OP_SASL, new JuteWriter().buffer(token).done(), (reader) => reader.buffer())
    await using client = await ZkClient.connect(server.port)
    const challenge = (await sasl(client, Buffer.alloc(0))).value?.toString() ?? ''
    const { response, proof } = saslResponse(challenge, 'bob', 'secret')
    expect((await sasl(client, response)).value?.toString()).toBe(proof)
    await client.create('/sasl', 'x', 0, [{ perms: 31, scheme: 'sasl', id: 'bob' }])
    expect((await client.getData('/sasl')).err).toBe(0)
    await using other = await ZkClient.connect(server.port)
    expect((await other.getData('/sasl')).err).toBe(NO_AUTH)
    const raw = await FrameConnection.open(server.port)
    raw.writeFrame(encodeConnectRequest())
    await raw.nextFrame()
    raw.writeFrame(new JuteWriter().int(1).int(OP_SASL).buffer(Buffer.of(0x60, 0x82)).done())
    const reply = new JuteReader((await raw.nextFrame()) as Buffer)
    expect([reply.int(), reply.long(), reply.int()]).toEqual([1, 0n, AUTH_FAILED])
    expect(await raw.nextFrame()).toBeUndefined()
    expect(server.logTail()).toMatch(/Kerberos \(GSSAPI\) is not supported/)
  })
})
