import { proveWorkload } from '../../../test/support/prove-workload.ts'
import { diskWorkload } from './disk-workload.ts'

proveWorkload(diskWorkload)
