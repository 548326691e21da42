// Modules of the source tree as JavaScript, for tests that start processes of their own. Not the build: nothing else of the
// tree has to compile.

import { execFileSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tempDir } from './temp-dir.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Compiles these modules (paths from the root, `src/…`) and all they import; the folder that stands for `src`. */
export function compiled(...modules: readonly string[]): string {
  const dir = tempDir('compiled')
  const config = {
    extends: join(ROOT, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: join(ROOT, 'src'),
      outDir: join(dir, 'js'),
      declaration: false,
      sourceMap: false,
      noEmitOnError: false,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    include: [],
    files: [...modules, 'src/base/node-buffer.d.ts'].map((module) => join(ROOT, module)),
  }
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ type: 'module' }))
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  // Type errors are for `npm run check` to find; what was emitted runs.
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir, '--noCheck'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return join(dir, 'js')
}
