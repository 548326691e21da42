import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { tableWorkload } from './table-workload.ts'

proveWorkload(tableWorkload, { from: 1, to: 300 })
