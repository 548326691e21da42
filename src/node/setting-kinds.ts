// What settings take: how a value is checked, and the same in words. The settings themselves are in settings.ts.

import { z } from 'zod'

/** What a setting takes: how a value is checked, and the same in words. */
export interface Kind<S extends z.ZodType> {
  readonly schema: S
  /** After "must be". */
  readonly allowed: string
}

/** A number as a flag or a file gives it; nothing else is taken for one. */
const number = z.preprocess(
  (value) => (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value),
  z.number(),
)

export function whole(min: number, max: number) {
  return { schema: number.pipe(z.number().int().min(min).max(max)), allowed: `a whole number from ${min} to ${max}` }
}

export const milliseconds = (min: number) => whole(min, 2 ** 31 - 1)
export const count = (min: number) => whole(min, Number.MAX_SAFE_INTEGER)

/** May stay without a value. */
export function optional<S extends z.ZodType>({ schema, allowed }: Kind<S>) {
  return { schema: schema.optional(), allowed }
}

export function oneOf<const T extends readonly string[]>(names: T) {
  return { schema: z.enum(names), allowed: `one of ${names.join(', ')}` }
}

/** A TCP port: a number, 0 = any free one, `off` = none. */
export const port = {
  schema: z.union([z.literal('off'), whole(0, 65_535).schema]),
  allowed: 'a port from 0 to 65535, or off',
}
export const path = { schema: z.string().min(1), allowed: 'a path' }
export const host = { schema: z.string().min(1), allowed: 'an address of this machine, or a name of one' }
export const hours = { schema: number.pipe(z.number().min(0).max(87_600)), allowed: 'a number from 0 to 87600' }

export const words = {
  schema: z.preprocess(splitAtCommas, z.array(z.string().regex(/^([a-z]{4}|\*)$/))),
  allowed: 'words of four letters separated by commas, or *',
}

export function splitAtCommas(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value.split(',').map((name) => name.trim())
}

/** Yes or no. */
export const yesOrNo = {
  schema: z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean()),
  allowed: 'true or false',
}

/** A share of one. */
export const share = { schema: number.pipe(z.number().min(0).max(1)), allowed: 'a number from 0 to 1' }

/** Texts separated by commas. */
export const names = {
  schema: z.preprocess(
    splitAtCommas,
    z
      .array(z.string().min(1))
      .min(1)
      .refine((all) => new Set(all).size === all.length),
  ),
  allowed: 'names separated by commas, each once',
}

export const regularExpression = {
  schema: z.string().min(1).refine(isRegularExpression),
  allowed: 'a regular expression',
}

function isRegularExpression(value: string): boolean {
  try {
    new RegExp(value)
    return true
  } catch {
    return false
  }
}

export const text = { schema: z.string().min(1), allowed: 'a text' }

/** One setting of `delos serve`. */
export interface Setting extends Kind<z.ZodType> {
  /** As a flag (`--data-dir`) and in the file (`data-dir:`). */
  readonly name: string
  readonly fallback: unknown
  readonly unit: string
  readonly help: string
}
