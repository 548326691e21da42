// The connection, as what it is asked sees it: an interface, so that its parts need not know the whole.

import type { Requester } from '../zelos/requests.ts'
import type { FlowControl } from './flow-control.ts'
import type { RequestOwner } from './pending-request.ts'
import type { Reader } from './read-answers.ts'
import type { RequestQueue } from './request-queue.ts'
import type { CloseReason } from './server-stats.ts'

export interface RequestClient extends Reader, RequestOwner {
  requester: Requester
  readonly queue: RequestQueue
  readonly flow: FlowControl
  /** Its session is one that only reads. */
  readonly isReadOnly: boolean
  /** Must follow each reply that was written to `replies`. */
  replyWritten(arrivedMs: number, op: number, xid: number, err: number): void
  warn(fields: object, message: string): void
  /** Sends what is written, then closes. */
  end(reason: CloseReason): void
  /** Something was thrown that no request may cause: tells the operator and closes. */
  failed(thrown: unknown): void
  /** Its request no longer waits for its turn: goes on reading. */
  readonly resumeReading: () => void
}
