/* A session over connections that end: what it owns and watches is still there on the next one, also at another address; and
 * one that was closed meanwhile is told so.
 */

#include "steps.h"

static void comes_back(zhandle_t *zh, const char *proxy) {
  char data[64];
  int length = sizeof data;
  struct String_vector names;
  struct Stat stat;
  events_t events;
  zhandle_t *mine = connect_to(proxy, &events);
  int64_t session = zoo_client_id(mine)->client_id;
  EXPECT(zoo_create(mine, "/c/mine", "1", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
  EXPECT(zoo_create(mine, "/c/gone", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  EXPECT(zoo_create(mine, "/c/quiet", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  EXPECT(zoo_create(mine, "/c/parent", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  EXPECT(zoo_get(mine, "/c/mine", 1, data, &length, NULL), ZOK);
  EXPECT(zoo_exists(mine, "/c/gone", 1, NULL), ZOK);
  EXPECT(zoo_exists(mine, "/c/quiet", 1, NULL), ZOK);
  EXPECT(zoo_exists(mine, "/c/new", 1, NULL), ZNONODE);
  EXPECT(zoo_get_children(mine, "/c/parent", 1, &names), ZOK);
  deallocate_String_vector(&names);
  ask("cut");
  expect_other_state(&events, ZOO_CONNECTED_STATE);
  EXPECT(zoo_set(zh, "/c/mine", "2", 1, -1), ZOK);
  EXPECT(zoo_delete(zh, "/c/gone", -1), ZOK);
  EXPECT(zoo_create(zh, "/c/new", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  EXPECT(zoo_create(zh, "/c/parent/child", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  ask("mend");
  expect_state(&events, ZOO_CONNECTED_STATE);
  CHECK(zoo_client_id(mine)->client_id == session);
  EXPECT(zoo_exists(mine, "/c/mine", 0, &stat), ZOK);
  CHECK(stat.ephemeralOwner == session && stat.version == 1);
  /* In which order depends on how the library lists its watches. */
  int heard = 0;
  expect_events(&events, 4);
  for (int i = 0; i < 4; i++) {
    const char *path = events.paths[i];
    int type = events.types[i];
    if (strcmp(path, "/c/mine") == 0 && type == ZOO_CHANGED_EVENT) heard |= 1;
    if (strcmp(path, "/c/gone") == 0 && type == ZOO_DELETED_EVENT) heard |= 2;
    if (strcmp(path, "/c/new") == 0 && type == ZOO_CREATED_EVENT) heard |= 4;
    if (strcmp(path, "/c/parent") == 0 && type == ZOO_CHILD_EVENT) heard |= 8;
  }
  CHECK(heard == 15 && events.count == 4);
  events.count = events.taken = 0;
  step("a session comes back with what it owns, and hears what it missed");
  EXPECT(zoo_set(zh, "/c/quiet", "2", 1, -1), ZOK);
  expect_event(&events, ZOO_CHANGED_EVENT, "/c/quiet");
  EXPECT(zookeeper_close(mine), ZOK);
  step("watches that had nothing to tell are set again");
}

static void moves(zhandle_t *zh, const char *address, const char *proxy) {
  char both[128];
  struct Stat stat;
  events_t events;
  snprintf(both, sizeof both, "%s,%s", proxy, address);
  zoo_deterministic_conn_order(1);
  zhandle_t *mine = connect_to(both, &events);
  zoo_deterministic_conn_order(0);
  int64_t session = zoo_client_id(mine)->client_id;
  EXPECT(zoo_create(mine, "/c/moved", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
  ask("cut");
  expect_other_state(&events, ZOO_CONNECTED_STATE);
  expect_state(&events, ZOO_CONNECTED_STATE);
  CHECK(zoo_client_id(mine)->client_id == session);
  EXPECT(zoo_exists(zh, "/c/moved", 0, &stat), ZOK);
  CHECK(stat.ephemeralOwner == session);
  EXPECT(zoo_set(mine, "/c/moved", "x", 1, 0), ZOK);
  EXPECT(zookeeper_close(mine), ZOK);
  ask("mend");
  EXPECT(zoo_exists(zh, "/c/moved", 0, NULL), ZNONODE);
  step("a session moves to the next address");
}

static void is_over(zhandle_t *zh, const char *address, const char *proxy) {
  events_t events, twin_events;
  zhandle_t *mine = connect_to(proxy, &events);
  EXPECT(zoo_create(mine, "/c/over", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
  ask("cut");
  expect_other_state(&events, ZOO_CONNECTED_STATE);
  zhandle_t *twin = start_at(address, zoo_client_id(mine), &twin_events);
  expect_state(&twin_events, ZOO_CONNECTED_STATE);
  CHECK(zoo_client_id(twin)->client_id == zoo_client_id(mine)->client_id);
  EXPECT(zookeeper_close(twin), ZOK);
  EXPECT(zoo_exists(zh, "/c/over", 0, NULL), ZNONODE);
  ask("mend");
  expect_state(&events, ZOO_EXPIRED_SESSION_STATE);
  CHECK(is_unrecoverable(mine) == ZINVALIDSTATE);
  EXPECT(zoo_exists(mine, "/c", 0, NULL), ZINVALIDSTATE);
  zookeeper_close(mine);
  step("a session that was closed elsewhere is told so");
}

void lost_connections(zhandle_t *zh, const char *address, const char *proxy) {
  comes_back(zh, proxy);
  moves(zh, address, proxy);
  is_over(zh, address, proxy);
}
