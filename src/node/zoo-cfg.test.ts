import { describe, expect, it } from 'vitest'
import { environmentSettings, resolveSettings } from './settings.ts'
import { parseProperties, readZooCfg } from './zoo-cfg.ts'
import { ACCESS_RULES } from './zoo-cfg-access.ts'

const LISTENS = 'clientPortAddress=127.0.0.1\n'

function notesOf(text: string): readonly string[] {
  return readZooCfg(LISTENS + text).notes
}

describe('a zoo.cfg', () => {
  it('gives settings by the names that they have here', () => {
    const { settings, notes } = readZooCfg(
      [
        'tickTime=3000',
        'dataDir=/var/lib/zookeeper',
        'clientPort=2182',
        'clientPortAddress=10.0.0.1',
        'minSessionTimeout=4000',
        'maxSessionTimeout=60000',
        'maxClientCnxns=60',
        'maxCnxns=500',
        '4lw.commands.whitelist=ruok, mntr',
        'admin.serverPort=8081',
        'admin.serverAddress=10.0.0.1',
        'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider',
        'metricsProvider.httpPort=7001',
        'jute.maxbuffer=0x1fffff',
        'extendedTypesEnabled=false',
        'enforceQuota=true',
        'reconfigEnabled=true',
        'znode.container.checkIntervalMs=1000',
      ].join('\n'),
    )
    expect(notes).toEqual([])
    expect(resolveSettings({}, {}, { zooCfg: settings }).values).toMatchObject({
      tickMs: 3000,
      dataDir: '/var/lib/zookeeper',
      zookeeperPort: 2182,
      host: '10.0.0.1',
      sessionTimeoutMinMs: 4000,
      sessionTimeoutMaxMs: 60_000,
      maxConnectionsPerIp: 60,
      maxConnections: 500,
      fourLetterWords: ['ruok', 'mntr'],
      adminPort: 8081,
      metricsPort: 7001,
      maxRequestBytes: 0x1fffff,
      ttlNodes: false,
      enforceQuota: true,
      reconfigEnabled: true,
      containerCheckMs: 1000,
    })
  })

  it('loses against file, environment and flags, in this order', () => {
    const zooCfg = readZooCfg('clientPort=1\ntickTime=100\nmaxCnxns=7\ndataDir=/z\n').settings
    const file = { 'zookeeper-port': 2, 'tick-ms': 200, 'max-connections': 8 }
    const environment = environmentSettings({
      DELOS_ZOOKEEPER_PORT: '3',
      DELOS_TICK_MS: '300',
      DELOS_HOST: '',
      DELOS_UNKNOWN: 'x',
    })
    const { values, origins } = resolveSettings(file, { 'zookeeper-port': '4' }, { zooCfg, environment })
    expect([values.zookeeperPort, values.tickMs, values.maxConnections, values.dataDir]).toEqual([4, 300, 8, '/z'])
    expect(origins).toMatchObject({
      zookeeperPort: 'flag',
      tickMs: 'environment',
      maxConnections: 'file',
      dataDir: 'zoo.cfg',
      host: 'default',
    })
  })

  it('a wrong value is refused with where it came from', () => {
    const zooCfg = readZooCfg('tickTime=soon\n').settings
    const environment = environmentSettings({ DELOS_HOST: '', DELOS_ADMIN_PORT: 'x' })
    expect(() => resolveSettings({}, {}, { zooCfg, environment })).toThrow(
      'DELOS_ADMIN_PORT: x must be a port from 0 to 65535, or off\ntick-ms (of zoo.cfg): soon must be a whole number',
    )
  })

  it('what means the default of ZooKeeper is no setting', () => {
    const { settings, notes } = readZooCfg(`${LISTENS}minSessionTimeout=-1\nmaxSessionTimeout=-1\nmaxCnxns=0\n`)
    expect(settings).toEqual({ host: '127.0.0.1' })
    expect(notes).toEqual(['zoo.cfg: maxCnxns: ignored: there always is a limit (--max-connections)'])
  })

  it('an empty list of words, or what is no word, leaves srvr', () => {
    expect(readZooCfg('4lw.commands.whitelist=').settings).toEqual({ 'four-letter-words': 'srvr' })
    expect(readZooCfg('4lw.commands.whitelist= ruok, , telnet close,*').settings).toEqual({
      'four-letter-words': 'ruok,*',
    })
  })

  it('the AdminServer can be off, whatever its port', () => {
    for (const text of [
      'admin.enableServer=false\nadmin.serverPort=1',
      'admin.serverPort=1\nadmin.enableServer=False',
    ]) {
      expect(readZooCfg(LISTENS + text).settings).toMatchObject({ 'admin-port': 'off' })
    }
    expect(readZooCfg('admin.enableServer=true\nadmin.serverPort=1').settings).toMatchObject({ 'admin-port': '1' })
  })

  it('an ensemble of several servers is not one of which each may start', () => {
    const servers = (...ids: number[]) => ids.map((id) => `server.${id}=host${id}:2888:3888`).join('\n')
    readZooCfg(servers()).requireOneServer()
    readZooCfg(servers(1)).requireOneServer()
    const three = readZooCfg(`${servers(1, 2)}\nserver.3 host3:2888:3888:observer\ngroup.1=1:2`)
    expect(() => three.requireOneServer()).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/names 3 servers \(server\.1, server\.2, server\.3\).*--zoo-cfg-alone true/s),
      }),
    )
  })

  it('what has no effect is named, one line a key, without its value', () => {
    expect(
      notesOf(
        [
          'initLimit=10',
          'snapCount=1000',
          'server.1=a:2888:3888',
          'server.2=b:2888:3888',
          'ssl.quorum.keyStore.password=hidden',
          'autopurge.purgeInterval=1',
          'forceSync=no',
          'madeUp=hidden',
          'admin.serverAddress=0.0.0.0',
        ].join('\n'),
      ),
    ).toEqual([
      expect.stringMatching(/^zoo\.cfg: initLimit: ignored: this server is one of its own/),
      expect.stringMatching(/^zoo\.cfg: snapCount: ignored: there are no snapshots/),
      expect.stringMatching(/^zoo\.cfg: server\.1: can't be honoured: this server is one of its own/),
      expect.stringMatching(/^zoo\.cfg: server\.2: can't be honoured: /),
      expect.stringMatching(/^zoo\.cfg: ssl\.quorum\.keyStore\.password: can't be honoured: /),
      expect.stringMatching(/^zoo\.cfg: autopurge\.purgeInterval: ignored: /),
      "zoo.cfg: forceSync: can't be honoured: an acknowledged write is always synced",
      'zoo.cfg: madeUp: no such key is known here',
      'zoo.cfg: admin.serverAddress: ignored: all listeners of this server share one address (--host)',
    ])
  })

  it('of TLS, authentication and throttles each key is a setting, or named without its value', () => {
    const values = ['true', '-1', 'hidden.pem', 'hidden.jks']
    const silent = Object.keys(ACCESS_RULES).filter((key) =>
      values.every((value) => {
        const { settings, notes } = readZooCfg(`${LISTENS}${key}=${value}\n`)
        expect(notes.join()).not.toContain('hidden')
        return Object.keys(settings).length === 1 && notes.length === 0
      }),
    )
    // These mean something together only.
    const ofCertificates = ['ssl.x509.clientCertIdType', 'ssl.x509.clientCertIdSanMatchType']
    expect(silent.toSorted()).toEqual([...ofCertificates, 'enforce.auth.enabled', 'enforce.auth.schemes'].toSorted())
  })

  it('says that it listens on this machine only, if the file does not say where', () => {
    expect(readZooCfg('clientPort=2181').notes).toEqual([expect.stringContaining('clientPortAddress is not there')])
  })
})

describe('properties', () => {
  const parsed = (text: string) => Object.fromEntries(parseProperties(text))

  it('have = or : or a blank between key and value', () => {
    expect(parsed('a=1\nb : 2\n  c 3\nd\ne=x=y:z \n')).toEqual({ a: '1', b: '2', c: '3', d: '', e: 'x=y:z' })
  })

  it('skip comments and blank lines, and end their lines in any way', () => {
    expect(parsed('# a=1\r\n!b=2\r\r\n \t\nc=3 # not a comment\n')).toEqual({ c: '3 # not a comment' })
  })

  it('go on behind a backslash, and know escapes', () => {
    expect(parsed('a=1,\\\n   2\nb=x\\\\\nc\\ d\\=e=\\u00e4\\t|\\q\n')).toEqual({
      a: '1,2',
      b: 'x\\',
      'c d=e': 'ä\t|q',
    })
  })

  it('of a key that comes twice have the last value; names of objects are keys like others', () => {
    expect(parsed('a=1\na=2\nconstructor=x\n')).toEqual({ a: '2', constructor: 'x' })
    expect(notesOf('constructor=x\n__proto__=y\n')).toEqual([
      'zoo.cfg: constructor: no such key is known here',
      'zoo.cfg: __proto__: no such key is known here',
    ])
  })
})
