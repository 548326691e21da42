import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { zelosWorkload } from './zelos-workload.ts'

proveWorkload(zelosWorkload)
