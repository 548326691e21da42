// What becomes of one key of a zoo.cfg: the ways in which it can be a setting of this server, or none.

export type Outcome = { readonly setting: string; readonly value: string } | { readonly note: string } | 'done'

export type Rule = (value: string, all: ReadonlyMap<string, string>) => Outcome

export const becomes =
  (setting: string): Rule =>
  (value) => ({ setting, value })

/** A value by which ZooKeeper means its default, or nothing. */
export const becomesUnless =
  (setting: string, none: string, note?: string): Rule =>
  (value) => {
    if (value !== none) return { setting, value }
    return note === undefined ? 'done' : { note }
  }

export const ignored =
  (reason: string): Rule =>
  () => ({ note: `ignored: ${reason}` })

export const refused =
  (reason: string): Rule =>
  () => ({ note: `can't be honoured: ${reason}` })

export function isFalse(value: string): boolean {
  return value.toLowerCase() === 'false'
}
