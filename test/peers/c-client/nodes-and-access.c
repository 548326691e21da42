/* Containers, nodes with a time to live, modes, ACLs and identities, sync, the configuration, a chroot; many requests at once
 * and large ones; watches that are taken back.
 */

#include "steps.h"

#define MANY 200
#define LARGE 1000000
/* Past what a server takes. */
#define TOO_LARGE 1100000

static void kinds(zhandle_t *zh) {
  char path[64];
  struct Stat stat;
  struct ACL_vector *open = &ZOO_OPEN_ACL_UNSAFE;
  int size = sizeof path;
  EXPECT(zoo_create2(zh, "/c/container", "x", 1, open, ZOO_CONTAINER, path, size, &stat), ZOK);
  CHECK(strcmp(path, "/c/container") == 0 && stat.ephemeralOwner == 0 && stat.dataLength == 1);
  int ttl = ZOO_PERSISTENT_WITH_TTL;
  EXPECT(zoo_create2_ttl(zh, "/c/ttl", "x", 1, open, ttl, 600000, path, size, &stat), ZOK);
  CHECK(strcmp(path, "/c/ttl") == 0 && stat.ephemeralOwner == 0);
  int sequential = ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL;
  EXPECT(zoo_create_ttl(zh, "/c/ttl/s-", "x", 1, open, sequential, 600000, path, size), ZOK);
  CHECK(strcmp(path, "/c/ttl/s-0000000000") == 0);
  EXPECT(zoo_create_ttl(zh, "/c/ttl0", "x", 1, open, ttl, 0, path, size), ZBADARGUMENTS);
  EXPECT(zoo_create(zh, "/c/container/e-", "", 0, open, ZOO_EPHEMERAL_SEQUENTIAL, path, size), ZOK);
  CHECK(strcmp(path, "/c/container/e-0000000000") == 0);
  EXPECT(zoo_create2(zh, "/c/container/s-", "", 0, open, ZOO_PERSISTENT_SEQUENTIAL, path, size, &stat), ZOK);
  CHECK(strcmp(path, "/c/container/s-0000000001") == 0 && stat.czxid == stat.pzxid);
  step("containers, nodes with a time to live, and their modes");
}

static void identities(zhandle_t *zh, zhandle_t *other, const char *address) {
  char data[64];
  int length = sizeof data;
  struct ACL_vector acl;
  struct Stat stat;
  answer_t answer;
  events_t events;
  EXPECT(zoo_create(zh, "/c/ann", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZINVALIDACL);
  begin(&answer);
  EXPECT(zoo_add_auth(zh, "digest", "ann:secret", 10, void_answer, &answer), ZOK);
  EXPECT(code_of(&answer), ZOK);
  EXPECT(zoo_create(zh, "/c/ann", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
  EXPECT(zoo_get(zh, "/c/ann", 0, data, &length, NULL), ZOK);
  EXPECT(zoo_get(other, "/c/ann", 0, data, &length, NULL), ZNOAUTH);
  EXPECT(zoo_set(other, "/c/ann", "y", 1, -1), ZNOAUTH);
  EXPECT(zoo_create(other, "/c/ann/below", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNOAUTH);
  EXPECT(zoo_get_acl(other, "/c/ann", &acl, &stat), ZNOAUTH);
  EXPECT(zoo_get_acl(zh, "/c/ann", &acl, &stat), ZOK);
  CHECK(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL && strcmp(acl.data[0].id.scheme, "digest") == 0);
  CHECK(strcmp(acl.data[0].id.id, "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=") == 0);
  deallocate_ACL_vector(&acl);
  EXPECT(zoo_set_acl(zh, "/c/ann", 1, &ZOO_READ_ACL_UNSAFE), ZBADVERSION);
  EXPECT(zoo_set_acl(zh, "/c/ann", 0, &ZOO_READ_ACL_UNSAFE), ZOK);
  EXPECT(zoo_get(other, "/c/ann", 0, data, &length, &stat), ZOK);
  CHECK(stat.aversion == 1 && stat.version == 0);
  EXPECT(zoo_set(zh, "/c/ann", "y", 1, -1), ZNOAUTH);
  step("identities and ACLs");

  zhandle_t *refused = connect_to(address, &events);
  begin(&answer);
  EXPECT(zoo_add_auth(refused, "nonsense", "x", 1, void_answer, &answer), ZOK);
  EXPECT(code_of(&answer), ZAUTHFAILED);
  expect_state(&events, ZOO_AUTH_FAILED_STATE);
  EXPECT(zoo_exists(refused, "/c", 0, NULL), ZINVALIDSTATE);
  zookeeper_close(refused);
  step("a scheme that there is not");
}

static void server_wide(zhandle_t *zh, const char *address) {
  char text[256];
  int length = sizeof text;
  struct Stat stat;
  answer_t answer;
  events_t events;
  begin(&answer);
  EXPECT(zoo_async(zh, "/c", string_answer, &answer), ZOK);
  EXPECT(code_of(&answer), ZOK);
  CHECK(strcmp(answer.text, "/c") == 0);
  step("sync");
  EXPECT(zoo_getconfig(zh, 0, text, &length, &stat), ZOK);
  length = sizeof text;
  EXPECT(zoo_reconfig(zh, NULL, "2", NULL, -1, text, &length, &stat), ZUNIMPLEMENTED);
  step("configuration");

  snprintf(text, sizeof text, "%s/c/container", address);
  zhandle_t *inside = connect_to(text, &events);
  EXPECT(zoo_exists(inside, "/inside", 1, NULL), ZNONODE);
  EXPECT(zoo_create(inside, "/inside", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, text, sizeof text), ZOK);
  CHECK(strcmp(text, "/inside") == 0);
  expect_event(&events, ZOO_CREATED_EVENT, "/inside");
  EXPECT(zoo_exists(zh, "/c/container/inside", 0, NULL), ZOK);
  EXPECT(zookeeper_close(inside), ZOK);
  step("chroot");
}

void kinds_and_access(zhandle_t *zh, zhandle_t *other, const char *address) {
  kinds(zh);
  identities(zh, other, address);
  server_wide(zh, address);
}

/* Versions as their answers came. */
static int versions[MANY];
static int version_count;

static void version_answer(int code, const struct Stat *stat, const void *context) {
  (void)context;
  versions[version_count++] = code == ZOK ? stat->version : code;
}

void many_and_large(zhandle_t *zh, events_t *events) {
  static char data[TOO_LARGE];
  static char back[TOO_LARGE];
  char text[16];
  int length;
  EXPECT(zoo_create(zh, "/c/many", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  for (int i = 0; i < MANY; i++) {
    snprintf(text, sizeof text, "%d", i + 1);
    EXPECT(zoo_aset(zh, "/c/many", text, strlen(text), -1, version_answer, NULL), ZOK);
  }
  /* A read of the same session sees what was asked before it, and is answered after it. */
  length = sizeof text;
  EXPECT(zoo_get(zh, "/c/many", 0, text, &length, NULL), ZOK);
  CHECK(length == 3 && memcmp(text, "200", 3) == 0 && version_count == MANY);
  for (int i = 0; i < MANY; i++) CHECK(versions[i] == i + 1);
  step("many requests at once, in order");

  for (int i = 0; i < TOO_LARGE; i++) data[i] = (char)(i * 31);
  EXPECT(zoo_set(zh, "/c/many", data, LARGE, -1), ZOK);
  length = sizeof back;
  EXPECT(zoo_get(zh, "/c/many", 0, back, &length, NULL), ZOK);
  CHECK(length == LARGE && memcmp(data, back, LARGE) == 0);
  int64_t session = zoo_client_id(zh)->client_id;
  EXPECT(zoo_set(zh, "/c/many", data, TOO_LARGE, -1), ZCONNECTIONLOSS);
  expect_state(events, ZOO_CONNECTED_STATE);
  CHECK(zoo_client_id(zh)->client_id == session);
  EXPECT(zoo_set(zh, "/c/many", "small", 5, MANY + 1), ZOK);
  step("a large node, and one that is too large");
}

void removed_watches(zhandle_t *zh, events_t *events, zhandle_t *other) {
  struct String_vector names;
  EXPECT(zoo_create(zh, "/c/watched", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  EXPECT(zoo_wexists(zh, "/c/watched", watcher, events, NULL), ZOK);
  EXPECT(zoo_wget_children(zh, "/c/watched", watcher, events, &names), ZOK);
  deallocate_String_vector(&names);
  EXPECT(zoo_remove_watches(zh, "/c/watched", ZWATCHTYPE_DATA, watcher, events, 0), ZOK);
  EXPECT(zoo_set(other, "/c/watched", "x", 1, -1), ZOK);
  EXPECT(zoo_create(other, "/c/watched/1", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
  expect_event(events, ZOO_CHILD_EVENT, "/c/watched");
  EXPECT(zoo_remove_watches(zh, "/c/watched", ZWATCHTYPE_DATA, watcher, events, 0), ZNOWATCHER);
  EXPECT(zoo_wexists(zh, "/c/watched", watcher, events, NULL), ZOK);
  EXPECT(zoo_wget_children(zh, "/c/watched", watcher, events, &names), ZOK);
  deallocate_String_vector(&names);
  EXPECT(zoo_remove_all_watches(zh, "/c/watched", ZWATCHTYPE_ANY, 0), ZOK);
  EXPECT(zoo_delete(other, "/c/watched/1", -1), ZOK);
  EXPECT(zoo_delete(other, "/c/watched", -1), ZOK);
  EXPECT(zoo_exists(zh, "/c/watched", 0, NULL), ZNONODE);
  CHECK(events->count == events->taken);
  step("watches that are taken back");
}
