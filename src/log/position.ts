// Positions: branded safe integers, so that a virtual position is never mistaken for an offset inside one loglet.

declare const logPos: unique symbol
declare const logletOffset: unique symbol

/** A position in the virtual log, from 0. The *tail* is the first unwritten position. Ranges are half-open. */
export type LogPos = number & { readonly [logPos]: true }

/** A position inside one loglet, from 0. Only the virtual log converts between the two. */
export type LogletOffset = number & { readonly [logletOffset]: true }

/** The start of every virtual log. */
export const LOG_START = 0 as LogPos

/** The start of every loglet. */
export const LOGLET_START = 0 as LogletOffset
