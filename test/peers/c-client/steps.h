/* What the steps share: a check that ends the program, sessions with what their watchers heard, and words with whoever
 * started the program and holds the way to the server.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <zookeeper/zookeeper.h>

#define SESSION_MS 10000
#define WAIT_SECONDS 20
#define EVENTS_MAX 16

#define CHECK(condition)                                                                                              \
  do {                                                                                                                \
    if (!(condition)) {                                                                                               \
      fprintf(stderr, "%s:%d, after step '%s': %s\n", __FILE__, __LINE__, last_step, #condition);                     \
      exit(1);                                                                                                        \
    }                                                                                                                 \
  } while (0)

/* An answer that is not the expected one is named. */
#define EXPECT(call, code)                                                                                            \
  do {                                                                                                                \
    int code_ = (call);                                                                                               \
    if (code_ != (code)) {                                                                                            \
      fprintf(stderr, "%s:%d, after step '%s': %s is %d (%s), not %s\n", __FILE__, __LINE__, last_step, #call, code_, \
              zerror(code_), #code);                                                                                  \
      exit(1);                                                                                                        \
    }                                                                                                                 \
  } while (0)

extern const char *last_step;

void step(const char *name);

/* Prints the word behind an @, and waits until it is done. */
void ask(const char *word);

/* What came to the watchers of one session, in order. */
typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t came;
  int state;
  int count;
  int taken;
  int types[EVENTS_MAX];
  char paths[EVENTS_MAX][64];
} events_t;

void watcher(zhandle_t *handle, int type, int state, const char *path, void *context);

zhandle_t *start_at(const char *address, const clientid_t *session, events_t *events);
zhandle_t *connect_to(const char *address, events_t *events);
void expect_state(events_t *events, int state);
void expect_other_state(events_t *events, int state);
/* Waits until so many events are there. */
void expect_events(events_t *events, int count);
/* The next event of the session must be this one. */
void expect_event(events_t *events, int type, const char *path);

/* The answer to one asynchronous request. */
typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t came;
  int done;
  int code;
  char text[64];
} answer_t;

void begin(answer_t *answer);
void void_answer(int code, const void *answer);
void string_answer(int code, const char *value, const void *answer);
int code_of(answer_t *answer);

void kinds_and_access(zhandle_t *zh, zhandle_t *other, const char *address);
void many_and_large(zhandle_t *zh, events_t *events);
void removed_watches(zhandle_t *zh, events_t *events, zhandle_t *other);
void lost_connections(zhandle_t *zh, const char *address, const char *proxy);
