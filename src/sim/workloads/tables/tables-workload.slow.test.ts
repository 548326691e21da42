import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { tablesWorkload } from './tables-workload.ts'

proveWorkload(tablesWorkload, { from: 1, to: 300 })
