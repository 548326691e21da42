// The first message of a connection, in both directions, and the four-letter words that can come instead of it.

import type { JuteReader } from './jute-reader.ts'
import type { JuteWriter } from './jute-writer.ts'
import { readSessionId, writeSessionId } from './session-id.ts'

/** Bytes of a session password. */
export const PASSWORD_BYTES = 16

const NO_PASSWORD = new Uint8Array(PASSWORD_BYTES)

/** How a client introduces itself. */
export interface ConnectRequest {
  readonly protocolVersion: number
  /** The newest zxid that the client has seen. Rounded if it is not a safe integer, and then larger than any of ours. */
  readonly lastZxidSeen: number
  readonly timeoutMs: number
  /** 0 asks for a new session; FOREIGN_SESSION can only be refused. */
  readonly sessionId: number
  /** A view of the frame. */
  readonly password: Buffer | null
  readonly readOnly: boolean
  /** False for clients up to 3.3, which leave the field out: then the response leaves it out too. */
  readonly hasReadOnly: boolean
}

/** What answers a session that was created or renewed. */
export interface ConnectResponse {
  /** The negotiated session timeout. */
  readonly timeoutMs: number
  readonly sessionId: number
  /** PASSWORD_BYTES long. */
  readonly password: Uint8Array
  /** The session only reads. Clients up to 3.3 can't be told, and don't ask for one. */
  readonly readOnly?: boolean
}

/** The body of the first frame. Bytes after it are ignored. Throws MarshallingError, whereupon the connection is closed. */
export function readConnectRequest(from: JuteReader): ConnectRequest {
  const protocolVersion = from.int32()
  const lastZxidSeen = from.int64()
  const timeoutMs = from.int32()
  const sessionId = readSessionId(from)
  const password = from.bytes()
  const hasReadOnly = from.remaining > 0
  const readOnly = hasReadOnly && from.bool()
  return { protocolVersion, lastZxidSeen, timeoutMs, sessionId, password, readOnly, hasReadOnly }
}

/** The response to `request`, as one frame. */
export function writeConnectResponse(to: JuteWriter, request: ConnectRequest, response: ConnectResponse): void {
  to.beginFrame()
  to.int32(0)
  to.int32(response.timeoutMs)
  writeSessionId(to, response.sessionId)
  to.bytes(response.password)
  if (request.hasReadOnly) to.bool(response.readOnly ?? false)
  to.endFrame()
}

/** Tells the client that its session is gone (expired, unknown, or a wrong password); the connection is closed afterwards. */
export function writeConnectRefusal(to: JuteWriter, request: ConnectRequest): void {
  writeConnectResponse(to, request, { timeoutMs: 0, sessionId: 0, password: NO_PASSWORD })
}

/** Words of this kind are typed by operators into `nc`, on the port of the clients. */
export const FOUR_LETTER_WORDS = [
  'conf',
  'cons',
  'crst',
  'dirs',
  'dump',
  'envi',
  'gtmk',
  'hash',
  'isro',
  'mntr',
  'ruok',
  'srst',
  'srvr',
  'stat',
  'stmk',
  'wchc',
  'wchp',
  'wchs',
] as const

export type FourLetterWord = (typeof FOUR_LETTER_WORDS)[number]

/** What a telnet client sends when it is interrupted: answered by closing the connection without a complaint. */
export const TELNET_CLOSE = 0xfff4fffd | 0

const BY_NUMBER: ReadonlyMap<number, FourLetterWord> = new Map(
  FOUR_LETTER_WORDS.map((word) => [Buffer.from(word, 'latin1').readInt32BE(0), word]),
)

/**
 * The four-letter word that a connection's first four bytes spell, read as the int32 that would be a frame's length. No word is
 * a possible length: so it is enough to ask here when the splitter has refused the length of a connection's first frame.
 */
export function fourLetterWord(firstInt32: number): FourLetterWord | undefined {
  return BY_NUMBER.get(firstInt32)
}
