// TLS of the ports for ZooKeeper clients: its files, read at the start and again when they change.

import { readFile } from 'node:fs/promises'
import { DelosError } from '../base/delos-error.ts'
import type { Logger } from '../runtime/logger.ts'
import { type ClientAuth, type TlsMaterial, TlsNetwork, type TlsRefusal } from '../runtime/node-tls-network.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'

/** Paths, and what ports do with what is in them. */
export interface ClientTlsOptions {
  /** For TLS alone; 0 picks a free one, `off` opens none. */
  readonly port: number | 'off'
  /** The port of plain clients takes TLS too. */
  readonly portUnification: boolean
  /** The certificate and its chain, PEM, or PKCS#12 if the name ends in .p12 or .pfx. */
  readonly cert: string
  /** PEM; default: in the file of the certificate. */
  readonly key?: string
  /** Who may sign clients' certificates, PEM; default: whom Node trusts. */
  readonly ca?: string
  /** Revoked certificates, PEM. */
  readonly crl?: string
  /** A file with the passphrase of the key. */
  readonly passphraseFile?: string
  /** Default: need. */
  readonly clientAuth?: ClientAuth
  /** How often the files are looked at, ms; 0 = never. Default 10 000. */
  readonly reloadMs?: number
  /** Handshakes under way; 0 = no limit. Default 250. */
  readonly handshakesMax?: number
  /** Default 10 000. */
  readonly handshakeMs?: number
}

export class ClientTls {
  readonly options: ClientTlsOptions
  /** For TLS alone, and for TLS beside plain connections. */
  readonly secure: TlsNetwork
  readonly unified: TlsNetwork
  private readonly timers: Timers
  private readonly logger: Logger
  private material: TlsMaterial
  private timer: Timer | undefined
  private closed = false

  private constructor(options: ClientTlsOptions, material: TlsMaterial, { timers, logger, refused }: ClientTlsParts) {
    const { clientAuth = 'need', handshakesMax = 250, handshakeMs = 10_000 } = options
    const both = { material, clientAuth, handshakesMax, handshakeMs, refused }
    this.options = options
    this.material = material
    this.timers = timers
    this.logger = logger
    this.secure = new TlsNetwork({ ...both, alsoPlain: false })
    this.unified = new TlsNetwork({ ...both, alsoPlain: true })
  }

  /** Reads the files, and goes on looking at them. Rejects with INVALID_ARGUMENT if they are none that can be used. */
  static async open(options: ClientTlsOptions, parts: ClientTlsParts): Promise<ClientTls> {
    const made = new ClientTls(options, await readMaterial(options), parts)
    made.lookLater()
    return made
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.secure.handshakes + this.unified.handshakes
  }

  close(): void {
    this.closed = true
    this.timer?.cancel()
  }

  private lookLater(): void {
    const { reloadMs = 10_000 } = this.options
    if (reloadMs === 0 || this.closed) return
    this.timer = this.timers.after(reloadMs, () => {
      void this.look().finally(() => this.lookLater())
    })
  }

  /** Takes what has changed. Never rejects: with what is wrong, the server goes on with what it has. */
  private async look(): Promise<void> {
    try {
      const material = await readMaterial(this.options)
      if (this.closed || isSame(material, this.material)) return
      this.material = material
      this.secure.reload(material)
      this.unified.reload(material)
      this.logger.info({ cert: this.options.cert }, 'TLS: the files have changed, new connections get what is in them')
    } catch (error) {
      this.logger.error({ reason: (error as Error).message }, 'TLS: the files have changed and are not taken')
    }
  }
}

export interface ClientTlsParts {
  readonly timers: Timers
  readonly logger: Logger
  readonly refused: (refusal: TlsRefusal) => void
}

async function readMaterial({ cert, key, ca, crl, passphraseFile }: ClientTlsOptions): Promise<TlsMaterial> {
  const texts = {
    ...(passphraseFile !== undefined && { passphrase: (await read(passphraseFile)).toString().replace(/\r?\n$/, '') }),
    ...(ca !== undefined && { ca: (await read(ca)).toString() }),
    ...(crl !== undefined && { crl: (await read(crl)).toString() }),
  }
  const bytes = await read(cert)
  if (/\.(jks|bcfks)$/i.test(cert)) {
    throw new DelosError('INVALID_ARGUMENT', `${cert}: Java's key stores are not read: convert it to PEM or PKCS#12`)
  }
  if (/\.(p12|pfx)$/i.test(cert)) return { ...texts, pfx: bytes }
  return { ...texts, cert: bytes.toString(), key: (key === undefined ? bytes : await read(key)).toString() }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw DelosError.from(error, 'INVALID_ARGUMENT', `can't read ${file}`)
  }
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  const samePfx = one.pfx === other.pfx || (one.pfx !== undefined && other.pfx?.equals(one.pfx) === true)
  const { cert, key, passphrase, ca, crl } = one
  const sameTexts = cert === other.cert && key === other.key && passphrase === other.passphrase
  return samePfx && sameTexts && ca === other.ca && crl === other.crl
}
