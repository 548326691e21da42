// The checked-in page of results: each benchmark writes its own part and leaves the others as they are.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const begin = (name: string): string => `<!-- begin ${name} -->`
const end = (name: string): string => `<!-- end ${name} -->`

/** The page with the part of this benchmark replaced, or added at its end. */
export function withPart(page: string, name: string, text: string): string {
  const part = `${begin(name)}\n\n${text.trim()}\n\n${end(name)}\n`
  const [from, to] = [page.indexOf(begin(name)), page.indexOf(end(name))]
  if (from < 0 || to < from) return page.trim() === '' ? part : `${page.trimEnd()}\n\n${part}`
  return `${page.slice(0, from)}${part}${page.slice(to + end(name).length).replace(/^\n/, '')}`
}

export function writePart(path: string, name: string, text: string): void {
  writeFileSync(path, withPart(existsSync(path) ? readFileSync(path, 'utf8') : '', name, text))
}
