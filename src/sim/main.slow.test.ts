import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { compiled } from '../../test/support/compiled.ts'
import { runSeed } from './run-seed.ts'
import { diskWorkload } from './workloads/disk-workload.ts'

describe('npm run sim', () => {
  let main = ''

  beforeAll(() => {
    main = join(compiled('src/sim/main.ts'), 'sim/main.js')
  })

  function sim(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 60_000 })
  }

  it('has the same trace hash in every process', async () => {
    const runs = [sim('--seed', '5', '--workload', 'disk'), sim('--seed', '5', '--workload', 'disk')]
    for (const { status } of runs) expect(status).toBe(0)
    const { hash } = await runSeed(diskWorkload, { seed: 5, operations: 1_000 })
    for (const { stdout } of runs) expect(stdout).toContain(`disk seed 5: trace ${hash},`)
  })

  it('ends with 1 and the command that replays the failure', () => {
    const first = sim('--seeds', '200', '--workload', 'disk', '--break', 'no-sync')
    expect(first.status).toBe(1)
    expect(first.stderr).toContain('CheckFailure')
    expect(first.stderr).toContain('the last that happened:')
    const replay = /replay: npm run sim -- (.*)/.exec(first.stderr)?.[1]
    const again = sim(...(replay as string).split(' '))
    expect(again.status).toBe(1)
    expect(again.stdout).toBe(first.stdout)
  })

  it('ends with 2 and the usage when asked for what is not there', () => {
    for (const wrong of [['--seed', 'x'], ['--workload', 'nope'], ['--break', 'nope'], ['--nope']]) {
      const { status, stderr } = sim(...wrong)
      expect(status).toBe(2)
      expect(stderr).toContain('usage: npm run sim')
    }
    expect(sim('--help')).toMatchObject({ status: 0 })
  })
})
