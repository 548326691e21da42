import { describe, expect, it } from 'vitest'
import { importsOf } from './import-scanner.ts'
import { tokensOf } from './source-lexer.ts'

function scan(source: string): string[] {
  return importsOf(tokensOf(source)).map(
    (one) => `${one.kind}${one.typeOnly ? ' type' : ''} ${one.specifier} [${one.names.join(' ')}] ${one.line}`,
  )
}

describe('the import scanner', () => {
  it('finds every form of import with its names and its line', () => {
    expect(scan("import { a, type B, c as d } from './x.ts'")).toEqual(['import ./x.ts [a B c] 1'])
    expect(scan("\nimport x, { y } from 'p'")).toEqual(['import p [default y] 2'])
    expect(scan("import * as fs from 'node:fs'")).toEqual(['import node:fs [*] 1'])
    expect(scan("import './effect.ts'")).toEqual(['import ./effect.ts [] 1'])
    expect(scan("const m = await import('./late.ts')")).toEqual(['dynamic ./late.ts [] 1'])
  })

  it('tells what the compiler erases', () => {
    expect(scan("import type { A } from './x.ts'")).toEqual(['import type ./x.ts [A] 1'])
    expect(scan("import { type A, type B } from './x.ts'")).toEqual(['import type ./x.ts [A B] 1'])
    expect(scan("export type { A } from './x.ts'")).toEqual(['export type ./x.ts [A] 1'])
  })

  it('finds re-exports, and no import in an export without `from`', () => {
    expect(scan("export * from './x.ts'\nexport { a as b } from './y.ts'")).toEqual([
      'export ./x.ts [*] 1',
      'export ./y.ts [a] 2',
    ])
    expect(scan("export { a }\nimport { b } from './y.ts'")).toEqual(['import ./y.ts [b] 2'])
    expect(scan('export const from = 1\nexport class A { from() {} }')).toEqual([])
  })

  it('finds the module of a worker', () => {
    expect(scan("new Worker(new URL('./worker.js', import.meta.url))")).toEqual(['url ./worker.js [] 1'])
  })

  it('sees no import in comments, strings, templates and regular expressions', () => {
    expect(scan("// import './a.ts'\n/* import './b.ts'\n */ 'import \"./c.ts\"'")).toEqual([])
    const nested = '$' + '{f(`$' + '{"}"}`)}'
    expect(scan(`const t = \`import "./d.ts" ${nested} import "./e.ts"\``)).toEqual([])
    expect(scan("const r = /import 'x'/\nimport './f.ts'")).toEqual(['import ./f.ts [] 2'])
    expect(scan("const half = a / 2 // '\nimport './g.ts'")).toEqual(['import ./g.ts [] 2'])
  })
})
