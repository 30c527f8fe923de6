/*
 * Runs single arm64 instructions from given states, without a C library. Jobs come on standard
 * input, results go to standard output, both little-endian and as wire.ts lays them out.
 *
 * A job is begun by a breakpoint of ours, whose signal handler puts the job's registers into its
 * own frame; it ends in a signal, whose frame is what the program would have seen. Code is full of
 * breakpoints, so that wherever an instruction goes, it traps.
 */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

enum { READ = 63, WRITE = 64, EXIT = 93, SETITIMER = 103, SIGALTSTACK = 132, SIGACTION = 134, MMAP = 222 };
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGVTALRM = 26, SIGSYS = 31 };
enum { SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000 };

#define CODE_START 0x1ff00000UL
#define CODE_BYTES 0x210000UL
#define SLOT_START 0x24000000UL
#define SLOT_BYTES 0x10000UL
#define WINDOW_COUNT 3
#define WINDOW_BYTES 0x2000UL
#define READ_ONLY_START 0x60000000UL
#define FILL 0xd43bd5a0U /* brk #0xdead */
#define REGISTER_COUNT 34
#define PATCH_BYTES 32
#define PATCHES_MAX 4
#define CHANGES_MAX 1024

static const u64 windows[WINDOW_COUNT] = {0x30000000UL, 0x7000000000UL, 0x50000000UL};

struct patch {
  u64 address;
  u8 bytes[PATCH_BYTES];
};

struct job {
  u64 registers[REGISTER_COUNT];
  u64 thread_pointer;
  u64 seed;
  u8 vectors[528];
  u64 has_scalable;
  u64 patch_count;
  struct patch patches[PATCHES_MAX];
};

struct result {
  u64 registers[REGISTER_COUNT];
  u64 thread_pointer;
  u8 vectors[528];
  u64 signal, code, address, fault_address;
  u64 frame_hash, change_count;
};

struct change {
  u64 address, value;
};

struct context {
  u64 fault_address, registers[REGISTER_COUNT], unused;
  u8 records[4096];
};

static struct job job;
static struct result result;
static struct change changes[CHANGES_MAX];
static u64 saved_registers[REGISTER_COUNT];
static u8 saved_records[4096];
static u8 alternate_stack[65536] __attribute__((aligned(16)));
static volatile int is_running;
static volatile u64 job_number, ticked_number;

static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

void *memcpy(void *to, const void *from, u64 count) {
  u8 *target = to;
  const u8 *source = from;
  while (count--) *target++ = *source++;
  return to;
}

void *memset(void *to, int value, u64 count) {
  u8 *target = to;
  while (count--) *target++ = (u8)value;
  return to;
}

static u64 mix(u64 value) {
  value += 0x9e3779b97f4a7c15UL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9UL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebUL;
  return value ^ (value >> 31);
}

/* A record of the frame: magic[4] size[4], then what it holds. */
static u8 *find_record(u8 *records, u32 wanted) {
  for (u8 *at = records; at < records + 4096;) {
    u32 magic = ((u32 *)at)[0];
    u32 size = ((u32 *)at)[1];
    if (magic == wanted) return at;
    if (magic == 0 || size == 0) break;
    at += size;
  }
  return 0;
}

#define FPSIMD_MAGIC 0x46508001U /* head[8] fpsr[4] fpcr[4] v0 ... v31[16 each] */
#define SVE_MAGIC 0x53564501U    /* head[8] vl[2] ...[6] z0 ... z31[vl each] p0 ... p15, ffr[vl/8 each] */

static void load_vectors(u8 *records) {
  u8 *fpsimd = find_record(records, FPSIMD_MAGIC);
  memcpy(fpsimd + 16, job.vectors, 512);
  memcpy(fpsimd + 8, job.vectors + 512, 8);
  u8 *sve = find_record(records, SVE_MAGIC);
  if (sve == 0) return;
  u64 vl = *(unsigned short *)(sve + 8);
  u64 whole = 16 + 32 * vl + 17 * vl / 8;
  if (((u32 *)sve)[1] < whole) return;
  for (u64 at = 16; at + 8 <= whole; at += 8) {
    *(u64 *)(sve + at) = job.has_scalable ? mix(job.seed ^ (at << 40)) : 0;
  }
  for (u64 index = 0; index < 32; index++) memcpy(sve + 16 + index * vl, job.vectors + index * 16, 16);
  /* The first-fault register is made of ones from its low end. */
  u8 *ffr = sve + 16 + 32 * vl + 16 * vl / 8;
  memset(ffr, 0xff, vl / 8);
}

static void begin(struct context *context) {
  memcpy(saved_registers, context->registers, sizeof saved_registers);
  memcpy(saved_records, context->records, sizeof saved_records);
  memcpy(context->registers, job.registers, sizeof job.registers);
  load_vectors(context->records);
  __asm__ volatile("msr tpidr_el0, %0" : : "r"(job.thread_pointer));
  is_running = 1;
}

static void end(int number, u8 *info, struct context *context) {
  is_running = 0;
  __asm__ volatile("mrs %0, tpidr_el0" : "=r"(result.thread_pointer));
  memcpy(result.registers, context->registers, sizeof result.registers);
  result.signal = (u64)number;
  result.code = *(u32 *)(info + 8);
  result.address = *(u64 *)(info + 16);
  result.fault_address = context->fault_address;
  u8 *fpsimd = find_record(context->records, FPSIMD_MAGIC);
  memcpy(result.vectors, fpsimd + 16, 512);
  memcpy(result.vectors + 512, fpsimd + 8, 8);
  u64 hash = 0;
  for (u64 at = 0; at < 4096; at += 8) hash = mix(hash ^ *(u64 *)(context->records + at));
  result.frame_hash = hash;
  memcpy(context->registers, saved_registers, sizeof saved_registers);
  memcpy(context->records, saved_records, sizeof saved_records);
  context->registers[32] += 4; /* behind the breakpoint that began it */
}

static void handler(int number, u8 *info, u8 *ucontext) {
  struct context *context = (struct context *)(ucontext + 176);
  if (number == SIGVTALRM) {
    /* Two ticks in one job: it does not end by itself. */
    int is_hung = is_running && ticked_number == job_number;
    ticked_number = job_number;
    if (!is_hung) return;
  }
  if (!is_running && number != SIGTRAP) call(EXIT, 3, 0, 0, 0, 0, 0);
  if (is_running) end(number, info, context);
  else begin(context);
}

static void map(u64 start, u64 bytes, int protection) {
  /* MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS */
  if (call(MMAP, (long)start, (long)bytes, protection, 0x32, -1, 0) != (long)start) call(EXIT, 4, 0, 0, 0, 0, 0);
}

static void fill_code(u64 start, u64 bytes) {
  for (u64 at = 0; at < bytes; at += 4) *(volatile u32 *)(start + at) = FILL;
}

static void write_code(u64 address, const u8 *bytes) {
  for (u64 at = 0; at < PATCH_BYTES; at += 4) {
    *(volatile u32 *)(address + at) = bytes ? *(const u32 *)(bytes + at) : FILL;
  }
  for (u64 at = 0; at < PATCH_BYTES; at += 4) __asm__ volatile("dc cvau, %0; dsb ish; ic ivau, %0" : : "r"(address + at));
  __asm__ volatile("dsb ish; isb");
}

static u64 window_word(u64 address) { return mix(job.seed ^ address); }

static int read_all(void *into, u64 count) {
  u8 *at = into;
  while (count > 0) {
    long got = call(READ, 0, (long)at, (long)count, 0, 0, 0);
    if (got <= 0) return 0;
    at += got;
    count -= (u64)got;
  }
  return 1;
}

static void write_all(const void *from, u64 count) {
  const u8 *at = from;
  while (count > 0) {
    long put = call(WRITE, 1, (long)at, (long)count, 0, 0, 0);
    if (put <= 0) call(EXIT, 5, 0, 0, 0, 0, 0);
    at += put;
    count -= (u64)put;
  }
}

static void set_up(void) {
  map(CODE_START, CODE_BYTES, 7);
  map(SLOT_START, SLOT_BYTES, 7);
  for (int index = 0; index < WINDOW_COUNT; index++) map(windows[index], WINDOW_BYTES, 3);
  map(READ_ONLY_START, 0x1000, 3);
  for (u64 at = 0; at < 0x1000; at += 8) *(u64 *)(READ_ONLY_START + at) = mix(at);
  map(READ_ONLY_START + 0x1000, 0x1000, 0);
  call(226, READ_ONLY_START, 0x1000, 1, 0, 0, 0); /* mprotect */
  fill_code(CODE_START, CODE_BYTES);
  fill_code(SLOT_START, SLOT_BYTES);
  struct {
    void *sp;
    int flags;
    u64 size;
  } stack = {alternate_stack, 0, sizeof alternate_stack};
  call(SIGALTSTACK, (long)&stack, 0, 0, 0, 0, 0);
  static const int numbers[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGVTALRM, SIGSYS};
  for (u64 index = 0; index < sizeof numbers / sizeof *numbers; index++) {
    struct {
      void *handler;
      u64 flags;
      void *restorer;
      u64 mask;
    } action = {(void *)handler, SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER, 0, 0};
    call(SIGACTION, numbers[index], (long)&action, 0, 8, 0, 0);
  }
  struct {
    long interval[2], value[2];
  } timer = {{0, 50000}, {0, 50000}};
  /* In time that it has the processor: on a busy machine no time is too short to get there. */
  call(SETITIMER, 1, (long)&timer, 0, 0, 0, 0);
}

static u64 find_changes(void) {
  u64 count = 0;
  for (int index = 0; index < WINDOW_COUNT; index++) {
    for (u64 at = windows[index]; at < windows[index] + WINDOW_BYTES; at += 8) {
      if (*(u64 *)at == window_word(at)) continue;
      if (count < CHANGES_MAX) changes[count] = (struct change){at, *(u64 *)at};
      count++;
    }
  }
  return count < CHANGES_MAX ? count : CHANGES_MAX;
}

void run(void) {
  set_up();
  while (read_all(&job, sizeof job)) {
    for (int index = 0; index < WINDOW_COUNT; index++) {
      for (u64 at = windows[index]; at < windows[index] + WINDOW_BYTES; at += 8) *(u64 *)at = window_word(at);
    }
    for (u64 index = 0; index < job.patch_count; index++) write_code(job.patches[index].address, job.patches[index].bytes);
    job_number++;
    __asm__ volatile("clrex; brk #1" : : : "memory");
    for (u64 index = 0; index < job.patch_count; index++) write_code(job.patches[index].address, 0);
    result.change_count = find_changes();
    write_all(&result, sizeof result);
    write_all(changes, result.change_count * sizeof *changes);
  }
  call(EXIT, 0, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov x29, #0\nmov x30, #0\nbl run\n");
