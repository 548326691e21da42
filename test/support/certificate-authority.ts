// A small certificate authority in a temporary directory, made with openssl: server and client certificates, some of them
// expired, some revoked.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from './temp-dir.ts'

export interface Issued {
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  readonly expired?: boolean
  /** As openssl writes them: `URI:spiffe://example/a,DNS:a.example`; `dirName:person` is CN=dir, O=Example. */
  readonly alternativeNames?: string
}

const EXPIRED = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']

export class CertificateAuthority {
  readonly dir: string
  /** Path of its own certificate, PEM. */
  readonly ca: string
  private readonly config: string

  constructor(name = 'Test CA') {
    this.dir = tempDir('certificates')
    this.ca = join(this.dir, 'ca.pem')
    this.config = join(this.dir, 'openssl.cnf')
    mkdirSync(join(this.dir, 'issued'))
    writeFileSync(join(this.dir, 'index.txt'), '')
    writeFileSync(join(this.dir, 'index.txt.attr'), 'unique_subject = no\n')
    for (const counter of ['serial', 'crlnumber']) writeFileSync(join(this.dir, counter), '1000\n')
    writeFileSync(this.config, configOf(this.dir))
    const key = this.newKey('ca')
    this.openssl('req', '-x509', '-new', '-key', key, '-subj', `/CN=${name}`, '-days', '30', '-out', this.ca)
  }

  /** `subject` as openssl writes it: `/O=Example/CN=alice`. */
  issue(name: string, subject: string, options: CertificateOptions = {}): Issued {
    const key = this.newKey(name)
    const [request, cert] = [join(this.dir, `${name}.csr`), join(this.dir, `${name}.pem`)]
    this.openssl('req', '-new', '-key', key, '-subj', subject, '-out', request)
    const time = options.expired === true ? EXPIRED : ['-days', '30']
    this.openssl(
      'ca',
      '-batch',
      '-notext',
      '-preserveDN',
      ...time,
      ...this.names(name, options),
      '-in',
      request,
      '-out',
      cert,
    )
    return { cert, key }
  }

  private names(name: string, { alternativeNames }: CertificateOptions): string[] {
    if (alternativeNames === undefined) return []
    const file = join(this.dir, `${name}.ext`)
    writeFileSync(file, `subjectAltName = ${alternativeNames}\n[person]\nCN = dir\nO = Example\n`)
    return ['-extfile', file]
  }

  revoke({ cert }: Issued): void {
    this.openssl('ca', '-revoke', cert)
  }

  /** Path of the list of what is revoked so far, PEM. */
  revoked(): string {
    const list = join(this.dir, 'revoked.pem')
    this.openssl('ca', '-gencrl', '-out', list)
    return list
  }

  /** Path of a PKCS#12 file of a certificate and its key. */
  pkcs12({ cert, key }: Issued, passphrase: string): string {
    const file = cert.replace(/\.pem$/, '.p12')
    this.openssl('pkcs12', '-export', '-in', cert, '-inkey', key, '-passout', `pass:${passphrase}`, '-out', file)
    return file
  }

  private newKey(name: string): string {
    const key = join(this.dir, `${name}.key`)
    this.openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key)
    return key
  }

  private openssl(command: string, ...args: readonly string[]): void {
    const config = command === 'ca' || command === 'req' ? ['-config', this.config] : []
    execFileSync('openssl', [command, ...config, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  }
}

export function read({ cert, key }: Issued): { cert: string; key: string } {
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

function configOf(dir: string): string {
  return `
[ca]
default_ca = own
[own]
dir = ${dir}
database = ${dir}/index.txt
new_certs_dir = ${dir}/issued
serial = ${dir}/serial
crlnumber = ${dir}/crlnumber
certificate = ${dir}/ca.pem
private_key = ${dir}/ca.key
default_md = sha256
default_crl_days = 30
policy = anything
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[req]
distinguished_name = none
x509_extensions = authority
[none]
[authority]
basicConstraints = critical,CA:true
`
}
