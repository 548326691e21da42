// Where the package's own files are, whether this runs from the sources or from `build/`.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error('no package.json above the benchmark')
    directory = parent
  }
  return directory
}

const root = packageRoot()

export const paths = {
  root,
  packageJson: join(root, 'package.json'),
  sources: join(root, 'src'),
  server: join(root, 'dist/cli/main.js'),
  build: join(root, 'build'),
  programs: join(root, 'bench'),
  zookeeperConfig: join(root, 'bench/zookeeper.cfg'),
  results: join(root, 'bench/RESULTS.md'),
} as const
