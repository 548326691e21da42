// zkpairs: two servers that speak ZooKeeper's protocol, compared at one request in flight in short blocks, in turn.
// usage: zkpairs HOST:PORT HOST:PORT PAIRS TURNS REQUESTS BYTES KEYS
// In a turn REQUESTS sets go to one server, then as many to the other; who begins changes with every turn. TURNS of them make a
// pair. So both meet the same disk and the same neighbours, although these change within tens of milliseconds, and both are
// equally warm. Processors are kept awake meanwhile, by loops that yield to everything else: else the time in which a sleeping
// one wakes, which depends on where the system happens to have put a process, is many times what is looked for. One line of JSON on stdout: both medians of each pair, in microseconds. Exits 1 if a server refuses anything or
// goes away.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Of each turn, not counted: the server and its caches come back from the pause in which the other one was asked.
#define UNCOUNTED 2
#define PATH_BYTES 32

enum { CREATE = 1, SET = 5 };

static int bytes, keys;
static int32_t xid;
static unsigned chance = 1;

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void give_up(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static uint8_t *put32(uint8_t *at, int32_t value) {
  uint32_t big = htonl((uint32_t)value);
  memcpy(at, &big, 4);
  return at + 4;
}

static uint8_t *put_bytes(uint8_t *at, const void *from, int length) {
  at = put32(at, length);
  memcpy(at, from, (size_t)length);
  return at + length;
}

static int32_t get32(const uint8_t *at) {
  uint32_t big;
  memcpy(&big, at, 4);
  return (int32_t)ntohl(big);
}

static void read_fully(int fd, uint8_t *into, int length) {
  while (length > 0) {
    ssize_t got = read(fd, into, (size_t)length);
    if (got <= 0) give_up("a server closed the connection");
    into += got;
    length -= (int)got;
  }
}

// Reads one frame; its length.
static int read_frame(int fd, uint8_t *into, int capacity) {
  read_fully(fd, into, 4);
  int length = get32(into);
  if (length < 0 || length > capacity) give_up("a frame of unexpected length");
  read_fully(fd, into, length);
  return length;
}

static void write_fully(int fd, const uint8_t *from, uint8_t *end) {
  if (write(fd, from, (size_t)(end - from)) != end - from) give_up("a server does not take a request");
}

static int connect_to(char *address) {
  char *colon = strchr(address, ':');
  if (!colon) give_up("an address is HOST:PORT");
  *colon = 0;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
  inet_pton(AF_INET, address, &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (connect(fd, (void *)&to, sizeof to)) give_up("a server can't be reached");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  // Protocol 0, last zxid 0, timeout 30 s, no session, an empty password, not read-only.
  uint8_t hello[64] = {0}, answer[256];
  put32(hello, 45);
  put32(hello + 16, 30000);
  put32(hello + 28, 16);
  write_fully(fd, hello, hello + 49);
  read_frame(fd, answer, sizeof answer);
  return fd;
}

// One request and its answer; the error code of the answer.
static int ask(int fd, int type, const char *path, const uint8_t *value) {
  uint8_t request[4096], answer[4096], *at = request + 4;
  at = put32(put32(at, ++xid), type);
  at = put_bytes(put_bytes(at, path, (int)strlen(path)), value, bytes);
  if (type == SET) {
    at = put32(at, -1);
  } else {
    at = put32(put32(at, 1), 31);
    at = put32(put_bytes(put_bytes(at, "world", 5), "anyone", 6), 0);
  }
  put32(request, (int32_t)(at - request - 4));
  write_fully(fd, request, at);
  // Events and pings have xids below 0; there are none to expect.
  read_frame(fd, answer, sizeof answer);
  if (get32(answer) != xid) give_up("an answer to another request");
  return get32(answer + 12);
}

// One loop per processor, which end with this process.
static void keep_awake(void) {
  for (long left = sysconf(_SC_NPROCESSORS_ONLN); left > 0; left--) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none)) _exit(1);
    for (;;) __asm__ volatile("");
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void turn(int fd, int requests, double *latencies, const uint8_t *value) {
  char path[PATH_BYTES];
  for (int i = -UNCOUNTED; i < requests; i++) {
    chance = chance * 1103515245u + 12345u;
    snprintf(path, sizeof path, "/pairs/k%u", (chance >> 8) % (unsigned)keys);
    double started = now_us();
    if (ask(fd, SET, path, value) != 0) give_up("a server refused a set");
    if (i >= 0) latencies[i] = now_us() - started;
  }
}

static double median(double *values, int length) {
  qsort(values, (size_t)length, sizeof *values, ascending);
  return (values[length / 2] + values[(length - 1) / 2]) / 2;
}

int main(int count, char **words) {
  if (count != 8) {
    fprintf(stderr, "usage: zkpairs HOST:PORT HOST:PORT PAIRS TURNS REQUESTS BYTES KEYS\n");
    return 2;
  }
  int pairs = atoi(words[3]), turns = atoi(words[4]), requests = atoi(words[5]);
  bytes = atoi(words[6]);
  keys = atoi(words[7]);
  if (pairs < 1 || turns < 1 || requests < 1 || keys < 1 || bytes < 0 || bytes > 2048) return 2;
  int servers[2] = {connect_to(words[1]), connect_to(words[2])};
  uint8_t *value = malloc((size_t)bytes + 1);
  memset(value, 'x', (size_t)bytes + 1);
  char path[PATH_BYTES];
  for (int s = 0; s < 2; s++) {
    // Whatever the answer is: an earlier run may have made them.
    ask(servers[s], CREATE, "/pairs", value);
    for (int k = 0; k < keys; k++) {
      snprintf(path, sizeof path, "/pairs/k%d", k);
      ask(servers[s], CREATE, path, value);
    }
  }
  keep_awake();
  int samples = turns * requests;
  double *latencies[2] = {calloc((size_t)samples, sizeof(double)), calloc((size_t)samples, sizeof(double))};
  printf("{\"pairs\":[");
  for (int pair = 0; pair < pairs; pair++) {
    for (int at = 0; at < 2 * turns; at++) {
      // One begins, the other one begins: 0 1 1 0.
      int server = (at + at / 2) % 2;
      turn(servers[server], requests, latencies[server] + at / 2 * requests, value);
    }
    printf("%s[%.1f,%.1f]", pair ? "," : "", median(latencies[0], samples), median(latencies[1], samples));
  }
  printf("]}\n");
  return 0;
}
