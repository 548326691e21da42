// ZooKeeper's Java client where it has to say who it is: SASL by Java's own DIGEST-MD5, and TLS by Netty with a certificate.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CertificateAuthority } from './support/certificate-authority.ts'
import { describeWith, peers } from './support/peers.ts'
import { freePort, serverKind, TestServer } from './support/server.ts'
import { ZkCli } from './support/zk-cli.ts'

const LOGIN = 'org.apache.zookeeper.server.auth.DigestLoginModule required'
const SERVER_USERS = `Server {\n  ${LOGIN}\n  user_ann="other"\n  user_bob="secret";\n};\n`

/** The package's own list of jars lacks parts of Netty. */
const JARS = [
  'zookeeper',
  ...['resolver', 'common', 'buffer', 'handler', 'codec', 'transport'].map((one) => `netty-${one}`),
]
const CLASS_PATH = JARS.map((name) => `/usr/share/java/${name}.jar`).join(':')

describeWith(peers.zookeeper, 'the Java client', () => {
  let authority: CertificateAuthority
  let server: TestServer
  let securePort: number

  beforeAll(async () => {
    if (serverKind !== 'delos') return
    authority = new CertificateAuthority()
    securePort = await freePort()
    const issued = authority.issue('server', '/CN=localhost')
    const users = join(authority.dir, 'server-jaas.conf')
    writeFileSync(users, SERVER_USERS)
    const flags = {
      'sasl-users': users,
      'secure-client-port': String(securePort),
      'port-unification': 'true',
      'tls-cert': issued.cert,
      'tls-key': issued.key,
      'tls-ca': authority.ca,
    }
    server = await TestServer.start({ flags: Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]) })
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  function jaas(user: string, password: string): string[] {
    const file = join(authority.dir, `${user}-${password}.conf`)
    writeFileSync(file, `Client {\n  ${LOGIN}\n  username="${user}"\n  password="${password}";\n};\n`)
    return [`-Djava.security.auth.login.config=${file}`]
  }

  it.skipIf(serverKind !== 'delos')('authenticates by SASL, and owns what it makes', async () => {
    using bob = await ZkCli.connected(server.port, jaas('bob', 'secret'))
    await bob.event('WatchedEvent state:SaslAuthenticated type:None path:null')
    expect((await bob.run('whoami')).split('\n').sort()).toEqual(['Auth scheme: User', 'ip: 127.0.0.1', 'sasl: bob'])
    expect(await bob.run('create /bob mine sasl:bob:cdrwa')).toBe('Created /bob')
    expect(await bob.run('get /bob')).toBe('mine')
    expect(await bob.quit()).toBe(0)
    using nobody = await ZkCli.connected(server.port)
    expect(await nobody.run('get /bob')).toBe('Insufficient permission : /bob')
    using ann = await ZkCli.connected(server.port, jaas('ann', 'other'))
    await ann.event('WatchedEvent state:SaslAuthenticated type:None path:null')
    expect(await ann.run('get /bob')).toBe('Insufficient permission : /bob')
  })

  it.skipIf(serverKind !== 'delos')('is told that its password is wrong, and so is the operator', async () => {
    using wrong = new ZkCli(server.port, jaas('bob', 'wrong'))
    await wrong.event('WatchedEvent state:AuthFailed type:None path:null')
    expect(server.logTail()).toMatch(/SASL authentication failed .*reason=wrong password of "bob"/)
  })

  it.skipIf(serverKind !== 'delos')(
    'comes by TLS with a certificate, on both ports, and is whom that names',
    async () => {
      const alice = authority.issue('alice', '/O=Example/CN=alice')
      const ssl = {
        'keyStore.location': authority.pkcs12(alice, 'secret'),
        'keyStore.password': 'secret',
        'keyStore.type': 'PKCS12',
        'trustStore.location': authority.ca,
        'trustStore.type': 'PEM',
        hostnameVerification: 'false',
      }
      const flags = [
        `-cp ${CLASS_PATH}`,
        '-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty',
        '-Dzookeeper.client.secure=true',
        ...Object.entries(ssl).map(([name, value]) => `-Dzookeeper.ssl.${name}=${value}`),
      ]
      for (const [port, path] of [
        [securePort, '/secure'],
        [server.port, '/unified'],
      ] as const) {
        using cli = await ZkCli.connected(port, flags)
        expect((await cli.run('whoami')).split('\n')).toContain('x509: CN=alice,O=Example')
        expect(await cli.run(`create ${path} mine auth::cdrwa`)).toBe(`Created ${path}`)
        // The command line escapes the comma.
        expect(await cli.run(`getAcl ${path}`)).toBe("'x509,'CN=alice%2CO=Example\n: cdrwa")
        expect(await cli.quit()).toBe(0)
      }
    },
  )
})
