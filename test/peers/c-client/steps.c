/* The parts of steps.h that are not steps. */

#include "steps.h"
#include <time.h>

const char *last_step = "start";

void step(const char *name) {
  last_step = name;
  printf("%s\n", name);
  fflush(stdout);
}

void ask(const char *word) {
  char line[16];
  printf("@%s\n", word);
  fflush(stdout);
  CHECK(fgets(line, sizeof line, stdin) != NULL);
}

void watcher(zhandle_t *handle, int type, int state, const char *path, void *context) {
  events_t *events = context;
  (void)handle;
  pthread_mutex_lock(&events->mutex);
  if (type == ZOO_SESSION_EVENT) {
    events->state = state;
  } else if (events->count < EVENTS_MAX) {
    events->types[events->count] = type;
    snprintf(events->paths[events->count], sizeof events->paths[0], "%s", path);
    events->count++;
  }
  pthread_cond_broadcast(&events->came);
  pthread_mutex_unlock(&events->mutex);
}

static struct timespec deadline(void) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += WAIT_SECONDS;
  return at;
}

zhandle_t *start_at(const char *address, const clientid_t *session, events_t *events) {
  memset(events, 0, sizeof *events);
  pthread_mutex_init(&events->mutex, NULL);
  pthread_cond_init(&events->came, NULL);
  zhandle_t *handle = zookeeper_init(address, watcher, SESSION_MS, session, events, 0);
  CHECK(handle != NULL);
  return handle;
}

zhandle_t *connect_to(const char *address, events_t *events) {
  zhandle_t *handle = start_at(address, NULL, events);
  expect_state(events, ZOO_CONNECTED_STATE);
  return handle;
}

void expect_state(events_t *events, int state) {
  struct timespec until = deadline();
  pthread_mutex_lock(&events->mutex);
  while (events->state != state) CHECK(pthread_cond_timedwait(&events->came, &events->mutex, &until) == 0);
  pthread_mutex_unlock(&events->mutex);
}

void expect_other_state(events_t *events, int state) {
  struct timespec until = deadline();
  pthread_mutex_lock(&events->mutex);
  while (events->state == state) CHECK(pthread_cond_timedwait(&events->came, &events->mutex, &until) == 0);
  pthread_mutex_unlock(&events->mutex);
}

void expect_events(events_t *events, int count) {
  struct timespec until = deadline();
  pthread_mutex_lock(&events->mutex);
  while (events->count < count) CHECK(pthread_cond_timedwait(&events->came, &events->mutex, &until) == 0);
  pthread_mutex_unlock(&events->mutex);
}

void expect_event(events_t *events, int type, const char *path) {
  struct timespec until = deadline();
  pthread_mutex_lock(&events->mutex);
  while (events->count == events->taken)
    CHECK(pthread_cond_timedwait(&events->came, &events->mutex, &until) == 0);
  CHECK(events->types[events->taken] == type);
  CHECK(strcmp(events->paths[events->taken], path) == 0);
  events->taken++;
  if (events->taken == events->count) events->taken = events->count = 0;
  pthread_mutex_unlock(&events->mutex);
}

void begin(answer_t *answer) {
  memset(answer, 0, sizeof *answer);
  pthread_mutex_init(&answer->mutex, NULL);
  pthread_cond_init(&answer->came, NULL);
}

void string_answer(int code, const char *value, const void *context) {
  answer_t *answer = (answer_t *)context;
  pthread_mutex_lock(&answer->mutex);
  answer->done = 1;
  answer->code = code;
  snprintf(answer->text, sizeof answer->text, "%s", value == NULL ? "" : value);
  pthread_cond_broadcast(&answer->came);
  pthread_mutex_unlock(&answer->mutex);
}

void void_answer(int code, const void *context) {
  string_answer(code, NULL, context);
}

int code_of(answer_t *answer) {
  struct timespec until = deadline();
  pthread_mutex_lock(&answer->mutex);
  while (!answer->done) CHECK(pthread_cond_timedwait(&answer->came, &answer->mutex, &until) == 0);
  pthread_mutex_unlock(&answer->mutex);
  return answer->code;
}
