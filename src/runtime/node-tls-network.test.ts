import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CertificateAuthority, type Issued, read } from '../../test/support/certificate-authority.ts'
import type { Connection, Listener } from './network.ts'
import { TlsNetwork, type TlsNetworkOptions, type TlsRefusal } from './node-tls-network.ts'

let authority: CertificateAuthority
let ca: string
let server: Issued
let alice: Issued

beforeAll(() => {
  authority = new CertificateAuthority()
  ca = readFileSync(authority.ca, 'utf8')
  server = authority.issue('server', '/CN=localhost')
  alice = authority.issue('alice', '/O=Example/CN=alice')
})

const open: { destroy(): unknown }[] = []
const listeners: Listener[] = []
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy()
  for (const listener of listeners.splice(0)) await listener.close()
})

/** A server that answers every chunk with the subject of the client's certificate. */
async function start(options: Partial<TlsNetworkOptions> = {}) {
  const refusals: TlsRefusal[] = []
  let told: (() => void) | undefined
  const network = new TlsNetwork({
    material: { ...read(server), ca },
    clientAuth: 'need',
    alsoPlain: false,
    handshakesMax: 10,
    handshakeMs: 5000,
    refused: (refusal) => {
      refusals.push(refusal)
      told?.()
    },
    ...options,
  })
  const accepted: Connection[] = []
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    accepted.push(connection)
    const answer = (): void => {
      connection.write(Buffer.from(connection.peerCertificate === undefined ? 'nobody' : 'somebody'))
    }
    return { data: answer, drain: () => undefined, closed: () => undefined }
  })
  listeners.push(listener)
  const refusal = async (): Promise<string> => {
    if (refusals.length === 0) {
      await new Promise<void>((resolve) => {
        told = resolve
      })
    }
    const one = refusals.shift() as TlsRefusal
    expect([one.address, one.port > 0]).toEqual(['127.0.0.1', true])
    return `${one.kind}: ${one.reason}`
  }
  return { network, port: listener.port, accepted, refusal, refusals }
}

function secure(port: number, who?: Issued): tls.TLSSocket {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ca,
    servername: 'localhost',
    checkServerIdentity: () => undefined,
    ...(who && read(who)),
  })
  open.push(socket)
  return socket
}

/** What the server answers to a greeting; '' if it closes instead. */
function answerTo(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', () => resolve(''))
    socket.on('close', () => resolve(''))
    socket.on('data', (chunk: Buffer) => resolve(chunk.toString()))
    socket.write('hello')
  })
}

function plain(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1')
  open.push(socket)
  return socket
}

describe('a TLS port', () => {
  it('takes clients with a good certificate, and shows it', async () => {
    const { port, accepted, network } = await start()
    expect(await answerTo(secure(port, alice))).toBe('somebody')
    expect(accepted[0]?.remoteAddress).toBe('127.0.0.1')
    expect(network.handshakes).toBe(0)
  })

  it('refuses none, one of a stranger, an expired and a revoked one, with the reason', async () => {
    const { port, refusal, network } = await start()
    expect([await answerTo(secure(port)), await refusal()]).toEqual(['', 'certificate: no certificate'])
    const stranger = new CertificateAuthority('Other CA').issue('eve', '/CN=eve')
    expect([await answerTo(secure(port, stranger)), await refusal()]).toEqual([
      '',
      'certificate: UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ])
    const expired = authority.issue('old', '/CN=old', { expired: true })
    expect([await answerTo(secure(port, expired)), await refusal()]).toEqual(['', 'certificate: CERT_HAS_EXPIRED'])
    const revoked = authority.issue('gone', '/CN=gone')
    expect(await answerTo(secure(port, revoked))).toBe('somebody')
    authority.revoke(revoked)
    network.reload({ ...read(server), ca, crl: readFileSync(authority.revoked(), 'utf8') })
    expect([await answerTo(secure(port, revoked)), await refusal()]).toEqual(['', 'certificate: CERT_REVOKED'])
    expect(await answerTo(secure(port, alice))).toBe('somebody')
  })

  it('that wants one takes clients without, but none with a bad one; that asks nobody shows none', async () => {
    const wanting = await start({ clientAuth: 'want' })
    expect(await answerTo(secure(wanting.port))).toBe('nobody')
    expect(await answerTo(secure(wanting.port, alice))).toBe('somebody')
    const stranger = new CertificateAuthority('Other CA').issue('eve', '/CN=eve')
    expect(await answerTo(secure(wanting.port, stranger))).toBe('')
    const asking = await start({ clientAuth: 'none' })
    expect(await answerTo(secure(asking.port, alice))).toBe('nobody')
  })

  it('closes what is no TLS, and what does not finish its handshake in time', async () => {
    const { port, refusal } = await start({ handshakeMs: 300 })
    expect([await answerTo(plain(port)), await refusal()]).toEqual(['', 'plain-text: the first byte is none of TLS'])
    plain(port)
    expect(await refusal()).toBe('handshake: not done within 300 ms')
    plain(port).write(Buffer.of(0x16, 3, 1))
    expect(await refusal()).toBe('handshake: not done within 300 ms')
    plain(port).write(Buffer.concat([Buffer.of(0x16, 3, 1, 0, 5), Buffer.alloc(5, 9)]))
    expect(await refusal()).toMatch(/^handshake: /)
    plain(port).end()
    expect(await refusal()).toBe('handshake: the client went before it was done')
  })

  it('closes a connection more than so many handshakes, and takes one again when one is done', async () => {
    const { port, refusal, network } = await start({ handshakesMax: 2 })
    const [one] = [plain(port), plain(port)]
    await expect.poll(() => network.handshakes).toBe(2)
    expect([await answerTo(secure(port, alice)), await refusal()]).toEqual([
      '',
      'handshakes-max: 2 handshakes are under way',
    ])
    one.destroy()
    expect(await refusal()).toMatch(/^handshake: /)
    expect(await answerTo(secure(port, alice))).toBe('somebody')
  })

  it('takes plain connections too, if told to', async () => {
    const { port } = await start({ alsoPlain: true })
    expect(await answerTo(plain(port))).toBe('nobody')
    expect(await answerTo(secure(port, alice))).toBe('somebody')
    expect(await answerTo(secure(port))).toBe('')
  })

  it('takes PKCS#12, and new material for new connections; unusable material changes nothing', async () => {
    const { port, network } = await start({
      material: { pfx: readFileSync(authority.pkcs12(server, 'open')), passphrase: 'open', ca },
    })
    const before = secure(port, alice)
    expect(await answerTo(before)).toBe('somebody')
    expect(before.getPeerCertificate().subject.CN).toBe('localhost')
    network.reload({ ...read(authority.issue('renewed', '/CN=renewed')), ca })
    const after = secure(port, alice)
    expect(await answerTo(after)).toBe('somebody')
    expect(after.getPeerCertificate().subject.CN).toBe('renewed')
    expect(() => network.reload({ cert: 'rubbish', key: 'rubbish' })).toThrow(/can't be used/)
    expect(() => network.reload({ cert: read(server).cert, key: read(alice).key })).toThrow(/can't be used/)
    expect(() => network.reload({ ca })).toThrow('TLS needs a certificate and its key')
    expect(await answerTo(secure(port, alice))).toBe('somebody')
  })
})
