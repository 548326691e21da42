// Tests of kazoo's suite that this server does not pass yet, each with the feature it waits for. A test that passes must
// not be listed. zookeeper-3.8-passes.txt beside this file lists what a real standalone ZooKeeper 3.8.0 passes.

export type LaterFeature = 'containers' | 'TTL' | 'quota' | 'reconfig' | 'several servers'

export const kazooExpectedFailures: Readonly<Record<string, LaterFeature>> = {
  'test_client.TestClient::test_update_host_list': 'several servers',
  'test_client.TestReconfig::test_add_remove_observer': 'reconfig',
  'test_client.TestReconfig::test_bad_input': 'reconfig',
  'test_client.TestReconfig::test_no_super_auth': 'reconfig',
  'test_connection.TestReadOnlyMode::test_read_only': 'several servers',
}

/** They pass or fail by a race inside kazoo: it takes the connection for open before the server has refused the password. */
export const kazooUndecided: ReadonlySet<string> = new Set([
  'test_sasl.TestLegacySASLDigestAuthentication::test_invalid_sasl_auth',
  'test_sasl.TestSASLDigestAuthentication::test_invalid_sasl_auth',
])
