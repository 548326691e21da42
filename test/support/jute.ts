// Jute encoding for the tests, written apart from the product's codec so that a mistake there can't hide here.
// Not responsible for: frames (frame-connection.ts), what the records mean (zk-client.ts).

export interface Acl {
  readonly perms: number
  readonly scheme: string
  readonly id: string
}

export interface Stat {
  readonly czxid: bigint
  readonly mzxid: bigint
  readonly ctime: bigint
  readonly mtime: bigint
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly numChildren: number
  readonly pzxid: bigint
}

/** Appends jute values; `done()` returns all of them in one buffer. */
export class JuteWriter {
  private readonly parts: Buffer[] = []

  int(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeInt32BE(value | 0)
    this.parts.push(part)
    return this
  }

  long(value: bigint): this {
    const part = Buffer.allocUnsafe(8)
    part.writeBigInt64BE(BigInt.asIntN(64, value))
    this.parts.push(part)
    return this
  }

  bool(value: boolean): this {
    this.parts.push(Buffer.of(value ? 1 : 0))
    return this
  }

  buffer(value: Uint8Array | null): this {
    if (value === null) return this.int(-1)
    this.int(value.length)
    this.parts.push(Buffer.from(value))
    return this
  }

  string(value: string | null): this {
    return this.buffer(value === null ? null : Buffer.from(value, 'utf8'))
  }

  strings(values: readonly string[]): this {
    this.int(values.length)
    for (const value of values) this.string(value)
    return this
  }

  acls(acls: readonly Acl[]): this {
    this.int(acls.length)
    for (const acl of acls) this.int(acl.perms).string(acl.scheme).string(acl.id)
    return this
  }

  raw(bytes: Uint8Array): this {
    this.parts.push(Buffer.from(bytes))
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.parts)
  }
}

/** Reads jute values in sequence; throws RangeError where the record is shorter than its type. */
export class JuteReader {
  private readonly bytes: Buffer
  private offset: number

  constructor(bytes: Buffer, offset = 0) {
    this.bytes = bytes
    this.offset = offset
  }

  get remaining(): number {
    return this.bytes.length - this.offset
  }

  int(): number {
    const value = this.bytes.readInt32BE(this.offset)
    this.offset += 4
    return value
  }

  long(): bigint {
    const value = this.bytes.readBigInt64BE(this.offset)
    this.offset += 8
    return value
  }

  bool(): boolean {
    return this.bytes.readUInt8(this.offset++) !== 0
  }

  buffer(): Buffer | null {
    const length = this.int()
    if (length === -1) return null
    if (length < 0 || length > this.remaining) throw new RangeError(`length ${length}, ${this.remaining} bytes left`)
    const value = this.bytes.subarray(this.offset, this.offset + length)
    this.offset += length
    return value
  }

  string(): string {
    return this.buffer()?.toString('utf8') ?? ''
  }

  strings(): string[] {
    return this.vector(() => this.string())
  }

  acls(): Acl[] {
    return this.vector(() => ({ perms: this.int(), scheme: this.string(), id: this.string() }))
  }

  stat(): Stat {
    return {
      czxid: this.long(),
      mzxid: this.long(),
      ctime: this.long(),
      mtime: this.long(),
      version: this.int(),
      cversion: this.int(),
      aversion: this.int(),
      ephemeralOwner: this.long(),
      dataLength: this.int(),
      numChildren: this.int(),
      pzxid: this.long(),
    }
  }

  private vector<T>(item: () => T): T[] {
    const count = this.int()
    const values: T[] = []
    for (let i = 0; i < count; i++) values.push(item())
    return values
  }
}
