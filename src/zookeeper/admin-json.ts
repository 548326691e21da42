// JSON as ZooKeeper's AdminServer prints it: indented by two, session ids as numbers of 64 bits, doubles with a decimal point.

import { JavaDouble } from './java-double.ts'

export type AdminJson = null | boolean | string | number | bigint | JavaDouble | readonly AdminJson[] | AdminObject
export type AdminObject = { readonly [key: string]: AdminJson }

export function adminJson(value: AdminJson, indent = ''): string {
  if (value === null || typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value instanceof JavaDouble) return String(value)
  if (isArray(value)) return value.length === 0 ? '[ ]' : `[ ${value.map((one) => adminJson(one, indent)).join(', ')} ]`
  const deeper = `${indent}  `
  const fields = Object.entries(value).map(
    ([key, one]) => `${deeper}${JSON.stringify(key)} : ${adminJson(one, deeper)}`,
  )
  return fields.length === 0 ? '{ }' : `{\n${fields.join(',\n')}\n${indent}}`
}

function isArray(value: readonly AdminJson[] | AdminObject): value is readonly AdminJson[] {
  return Array.isArray(value)
}
