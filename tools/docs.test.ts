// Generated documents agree with the code. With UPDATE_DOCS=1 in the environment they are written instead of compared.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configurationPage, errorsPage, layerTable, limitsTable, zooKeeperMetricsTable } from './generate-docs.ts'
import { filesUnder, ROOT } from './source-tree.ts'

/** What stands between `<!-- NAME: generated from … -->` and `<!-- end of NAME -->`. */
const generatedPart = (name: string): RegExp =>
  new RegExp(`(?<=<!-- ${name}: generated from [^>]* -->\\n\\n)[\\s\\S]*?(?=\\n\\n<!-- end of ${name} -->)`)

describe('generated documents', () => {
  it('docs/configuration.md lists every setting as the code has it', () => {
    agrees('docs/configuration.md', () => configurationPage())
  })

  it('docs/errors.md lists every error code as the code has it', () => {
    agrees('docs/errors.md', () => errorsPage())
  })

  it('the layer table of ARCHITECTURE.md is tools/layers.ts', () => {
    agrees('ARCHITECTURE.md', (text) => withPart(text, 'layers', layerTable()))
  })

  it('docs/zookeeper-metrics.md lists every metric under a name of ZooKeeper', () => {
    agrees('docs/zookeeper-metrics.md', (text) => withPart(text, 'metrics', zooKeeperMetricsTable()))
  })

  it('the limits of the README are those of the code', () => {
    agrees('README.md', (text) => withPart(text, 'limits', limitsTable()))
  })
})

describe('documents', () => {
  const pages = filesUnder('').filter((path) => path.endsWith('.md'))

  it('link only to files that are there', () => {
    const broken = pages.flatMap((page) => {
      const links = [...read(page).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] as string)
      return links.filter((link) => !existsSync(join(ROOT, dirname(page), link))).map((link) => `${page}: ${link}`)
    })
    expect(broken).toEqual([])
  })

  it('name only source files that are there', () => {
    const named = /\b(?:src|test|tools|bench|examples)\/[\w./-]+\.ts\b/g
    const missing = pages.flatMap((page) =>
      [...read(page).matchAll(named)]
        .filter(([path]) => !existsSync(join(ROOT, path)))
        .map(([path]) => `${page}: ${path}`),
    )
    expect(missing).toEqual([])
  })

  it('give a reason for every dependency', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    const names = [...Object.keys(dependencies ?? {}), ...Object.keys(devDependencies ?? {})]
    const page = read('docs/dependencies.md')
    expect(names.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([])
    const listed = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] as string)
    expect(listed.filter((name) => !names.includes(name))).toEqual([])
  })
})

function withPart(text: string, name: string, part: string): string {
  expect(text).toMatch(generatedPart(name))
  return text.replace(generatedPart(name), () => part)
}

function agrees(path: string, expected: (text: string) => string): void {
  const text = existsSync(join(ROOT, path)) ? read(path) : ''
  const wanted = expected(text)
  if (process.env.UPDATE_DOCS === '1') writeFileSync(join(ROOT, path), wanted)
  else expect(text).toBe(wanted)
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
