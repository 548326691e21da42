// Edits of content below whoever derives from it: an operator's, through the engine that carries them. What Base and the layers
// above must do about them. Not here: what is edited (engines/brain-doctor).

import type { Key } from '../base/key.ts'
import type { LogPos } from '../log/position.ts'
import type { ReadWriteTx } from '../store/local-store.ts'

/**
 * Header of the control entry that may edit any range. Base begins a transaction with it, so that what memory derives from the
 * store has nothing uncommitted when it must be forgotten.
 */
export const EDIT_HEADER = 'brain-doctor'

/**
 * Somebody else has changed these keys, in this transaction and before anything else of it: whatever memory holds of them is read
 * anew, from `tx` while it is applied. Called in apply; a transaction that is aborted ends the database.
 */
export type ContentEdited = (tx: ReadWriteTx, keys: readonly Key[], pos: LogPos) => void
