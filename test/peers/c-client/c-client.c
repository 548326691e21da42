/* A client over libzookeeper_mt that does one thing after the other and checks each answer itself: what an application in C,
 * or in any language that wraps this library, asks of a server. Prints a line a step; ends with 1 at the first that is not as
 * ZooKeeper's own server does it, saying which.
 *
 *   c-client HOST:PORT PROXY_HOST:PORT
 *
 * The second address leads to the same server, and is cut and mended by whoever answers `@cut` and `@mend` with a line.
 */

#include "steps.h"

static int has(const struct String_vector *names, const char *name) {
  for (int i = 0; i < names->count; i++)
    if (strcmp(names->data[i], name) == 0) return 1;
  return 0;
}

static void create_nodes(zhandle_t *zh) {
  char path[64];
  struct Stat stat;
  CHECK(zoo_create(zh, "/c", "root", 4, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
  CHECK(strcmp(path, "/c") == 0);
  CHECK(zoo_create(zh, "/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNODEEXISTS);
  CHECK(zoo_create(zh, "/nothing/below", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNONODE);
  CHECK(zoo_create(zh, "/c/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, path, sizeof path) == ZOK);
  CHECK(strcmp(path, "/c/s-0000000000") == 0);
  CHECK(zoo_create2(zh, "/c/n", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path, &stat) == ZOK);
  CHECK(stat.version == 0 && stat.dataLength == 0 && stat.ephemeralOwner == 0 && stat.czxid == stat.mzxid);
  step("create");
}

static void get_and_set(zhandle_t *zh) {
  char data[64];
  int length = sizeof data;
  struct Stat stat;
  CHECK(zoo_get(zh, "/c", 0, data, &length, &stat) == ZOK);
  CHECK(length == 4 && memcmp(data, "root", 4) == 0 && stat.numChildren == 2 && stat.cversion == 2);
  CHECK(zoo_get(zh, "/nothing", 0, data, &length, NULL) == ZNONODE);
  step("get");
  length = sizeof data;
  CHECK(zoo_get(zh, "/c/n", 0, data, &length, NULL) == ZOK);
  CHECK(length == -1); /* No data is not empty data. */
  step("get of a node without data");
  const char binary[] = {0, 1, (char)0xff, 0};
  CHECK(zoo_set2(zh, "/c/n", binary, sizeof binary, 0, &stat) == ZOK);
  CHECK(stat.version == 1 && stat.dataLength == 4 && stat.mzxid > stat.czxid);
  CHECK(zoo_set(zh, "/c/n", "x", 1, 0) == ZBADVERSION);
  length = sizeof data;
  CHECK(zoo_get(zh, "/c/n", 0, data, &length, NULL) == ZOK);
  CHECK(length == 4 && memcmp(data, binary, 4) == 0);
  step("set");
}

static void list_children(zhandle_t *zh) {
  struct String_vector names;
  struct Stat stat;
  CHECK(zoo_get_children2(zh, "/c", 0, &names, &stat) == ZOK);
  CHECK(names.count == 2 && has(&names, "n") && has(&names, "s-0000000000") && stat.numChildren == 2);
  deallocate_String_vector(&names);
  CHECK(zoo_delete(zh, "/c", -1) == ZNOTEMPTY);
  CHECK(zoo_delete(zh, "/c/s-0000000000", 7) == ZBADVERSION);
  CHECK(zoo_delete(zh, "/c/s-0000000000", 0) == ZOK);
  CHECK(zoo_get_children(zh, "/c", 0, &names) == ZOK);
  CHECK(names.count == 1 && has(&names, "n"));
  deallocate_String_vector(&names);
  step("children");
}

/* Each watch fires once, in the session that set it, for what another session does. */
static void watch(zhandle_t *zh, events_t *events, zhandle_t *other) {
  char data[64];
  int length = sizeof data;
  struct String_vector names;
  CHECK(zoo_exists(zh, "/c/w", 1, NULL) == ZNONODE);
  CHECK(zoo_create(other, "/c/w", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
  expect_event(events, ZOO_CREATED_EVENT, "/c/w");
  CHECK(zoo_get(zh, "/c/w", 1, data, &length, NULL) == ZOK);
  CHECK(zoo_set(other, "/c/w", "2", 1, -1) == ZOK);
  expect_event(events, ZOO_CHANGED_EVENT, "/c/w");
  CHECK(zoo_set(other, "/c/w", "3", 1, -1) == ZOK);
  CHECK(zoo_get_children(zh, "/c", 1, &names) == ZOK);
  deallocate_String_vector(&names);
  CHECK(zoo_delete(other, "/c/w", 2) == ZOK);
  expect_event(events, ZOO_CHILD_EVENT, "/c");
  step("watch");
}

static void multi(zhandle_t *zh) {
  zoo_op_t ops[4];
  zoo_op_result_t results[4];
  struct Stat stat;
  char path[64];
  zoo_check_op_init(&ops[0], "/c/n", 1);
  zoo_create_op_init(&ops[1], "/c/m", "m", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
  zoo_set_op_init(&ops[2], "/c/n", "multi", 5, 1, &stat);
  zoo_delete_op_init(&ops[3], "/c/m", 0);
  CHECK(zoo_multi(zh, 4, ops, results) == ZOK);
  for (int i = 0; i < 4; i++) CHECK(results[i].err == ZOK);
  CHECK(strcmp(path, "/c/m") == 0 && stat.version == 2 && stat.dataLength == 5);
  step("multi");
  zoo_create_op_init(&ops[0], "/c/m", "m", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
  zoo_check_op_init(&ops[1], "/c/n", 1);
  zoo_delete_op_init(&ops[2], "/c/n", -1);
  CHECK(zoo_multi(zh, 3, ops, results) == ZBADVERSION);
  CHECK(results[0].err == ZOK && results[1].err == ZBADVERSION && results[2].err == ZRUNTIMEINCONSISTENCY);
  CHECK(zoo_exists(zh, "/c/m", 0, NULL) == ZNONODE);
  CHECK(zoo_exists(zh, "/c/n", 0, NULL) == ZOK);
  step("multi that fails changes nothing");
}

/* An ephemeral node goes with the session that made it, and not before. */
static void ephemeral(zhandle_t *zh, events_t *events, zhandle_t *other) {
  struct Stat stat;
  CHECK(zoo_create(other, "/c/e", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK);
  CHECK(zoo_create(other, "/c/e/below", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNOCHILDRENFOREPHEMERALS);
  CHECK(zoo_exists(zh, "/c/e", 1, &stat) == ZOK);
  CHECK(stat.ephemeralOwner == zoo_client_id(other)->client_id);
  step("ephemeral");
  CHECK(zookeeper_close(other) == ZOK);
  expect_event(events, ZOO_DELETED_EVENT, "/c/e");
  CHECK(zoo_exists(zh, "/c/e", 0, NULL) == ZNONODE);
  step("ephemeral goes with its session");
}

int main(int count, char **arguments) {
  events_t events, other_events;
  if (count != 3) return 2;
  /* Nothing: it would complain of the connections that end. */
  zoo_set_debug_level((ZooLogLevel)0);
  zhandle_t *zh = connect_to(arguments[1], &events);
  zhandle_t *other = connect_to(arguments[1], &other_events);
  CHECK(zoo_client_id(zh)->client_id != zoo_client_id(other)->client_id);
  CHECK(zoo_recv_timeout(zh) == SESSION_MS);
  step("connect");
  create_nodes(zh);
  get_and_set(zh);
  list_children(zh);
  watch(zh, &events, other);
  multi(zh);
  kinds_and_access(zh, other, arguments[1]);
  many_and_large(zh, &events);
  removed_watches(zh, &events, other);
  lost_connections(zh, arguments[1], arguments[2]);
  CHECK(other_events.count == 0);
  ephemeral(zh, &events, other);
  CHECK(events.count == events.taken);
  CHECK(zookeeper_close(zh) == ZOK);
  step("close");
  return 0;
}
