// One update of this server between propose and result: the completion that travels down the stack.

import type { DelosError } from '../base/delos-error.ts'
import type { Completion } from '../engine/engine.ts'
import type { UpdateResult } from './requests.ts'

/** The database that counts what is in flight. */
export interface PendingUpdateOwner {
  updateSettled(bytes: number): void
  complete(completion: Completion<UpdateResult>, result: UpdateResult): void
}

/** Counts an update in flight, and hands its outcome on. */
export class PendingUpdate implements Completion<UpdateResult> {
  private readonly owner: PendingUpdateOwner
  private readonly bytes: number
  private readonly completion: Completion<UpdateResult>

  constructor(owner: PendingUpdateOwner, bytes: number, completion: Completion<UpdateResult>) {
    this.owner = owner
    this.bytes = bytes
    this.completion = completion
  }

  resolve(result: UpdateResult): void {
    this.owner.updateSettled(this.bytes)
    this.owner.complete(this.completion, result)
  }

  reject(error: DelosError): void {
    this.owner.updateSettled(this.bytes)
    this.completion.reject(error)
  }
}
