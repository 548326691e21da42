// Who asked for an update, as it is read from its entry: see request-codec.ts for the format.

import { ByteReader } from '../base/byte-reader.ts'
import type { Requester } from './requests.ts'
import type { Identity, SessionId } from './znode.ts'

/** Reads what `UpdateEncoder` wrote; `payload` is what the reader reads. */
export function readRequester(reader: ByteReader, payload: Uint8Array): Requester {
  const session = reader.varint()
  const ownerEpoch = reader.varint()
  const length = reader.varint()
  const at = reader.position
  reader.skip(length)
  return new StoredRequester(session, ownerEpoch, payload, at)
}

/** Address and identities are decoded when an access list asks for them, which most never do. */
class StoredRequester implements Requester {
  readonly session: SessionId
  readonly ownerEpoch: number
  private readonly payload: Uint8Array
  private readonly at: number
  private decoded: { readonly address: string; readonly identities: readonly Identity[] } | undefined

  constructor(session: SessionId, ownerEpoch: number, payload: Uint8Array, at: number) {
    this.session = session
    this.ownerEpoch = ownerEpoch
    this.payload = payload
    this.at = at
  }

  get address(): string {
    return this.credentials().address
  }

  get identities(): readonly Identity[] {
    return this.credentials().identities
  }

  private credentials(): { readonly address: string; readonly identities: readonly Identity[] } {
    this.decoded ??= readCredentials(this.payload, this.at)
    return this.decoded
  }
}

function readCredentials(payload: Uint8Array, at: number): { address: string; identities: Identity[] } {
  const reader = new ByteReader(payload, at)
  const address = reader.string()
  const identities: Identity[] = []
  for (let left = reader.varint(); left > 0; left--) identities.push({ scheme: reader.string(), id: reader.string() })
  return { address, identities }
}
