import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { backupWorkload } from './backup-workload.ts'

proveWorkload(backupWorkload)
