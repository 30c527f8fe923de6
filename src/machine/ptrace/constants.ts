/**
 * Numbers of Linux's interface, spelled as in the headers: linux/ptrace.h, asm/unistd_64.h,
 * asm-generic/{errno-base,signal,siginfo}.h, linux/sched.h, linux/wait.h.
 */

export const PTRACE_PEEKUSER = 3;
export const PTRACE_POKEUSER = 6;
export const PTRACE_CONT = 7;
export const PTRACE_SYSCALL = 24;
export const PTRACE_SINGLESTEP = 9;
export const PTRACE_GETREGS = 12;
export const PTRACE_SETREGS = 13;
export const PTRACE_DETACH = 17;
export const PTRACE_GETEVENTMSG = 0x4201;
export const PTRACE_GETSIGINFO = 0x4202;
export const PTRACE_SETSIGINFO = 0x4203;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_LISTEN = 0x4208;
export const PTRACE_GETSIGMASK = 0x420a;
export const PTRACE_SETSIGMASK = 0x420b;

/** Register set of the XSAVE area (linux/elf.h). */
export const NT_X86_XSTATE = 0x202;

/** Stops at system calls report SIGTRAP with bit 7 set. */
export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_TRACEFORK = 0x2;
export const PTRACE_O_TRACEVFORK = 0x4;
export const PTRACE_O_TRACECLONE = 0x8;
export const PTRACE_SETOPTIONS = 0x4200;
export const PTRACE_O_SUSPEND_SECCOMP = 0x20_0000;
export const PTRACE_O_TRACEEXEC = 0x10;

export const PTRACE_EVENT_FORK = 1;
export const PTRACE_EVENT_VFORK = 2;
export const PTRACE_EVENT_CLONE = 3;
export const PTRACE_EVENT_EXEC = 4;
export const PTRACE_EVENT_STOP = 128;

export const WNOHANG = 1;
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WNOWAIT = 0x01000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const P_ALL = 0;
export const P_PID = 1;

export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const ECHILD = 10;
export const EACCES = 13;

/**
 * What a system call leaves in its result register when it wants to be restarted (linux/errno.h).
 */
export const ERESTART_RESTARTBLOCK = 516;
export const ERESTARTNOHAND = 514;

export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGSEGV = 11;
export const SIGCHLD = 17;
export const SIGSYS = 31;

/** si_code of an int3 (SI_KERNEL), of a single step, and of single-stepping over a system call. */
export const SI_KERNEL = 0x80;
export const SI_USER = 0;
export const SI_TKILL = -6;

/**
 * A signal mask of all but those that an instruction raises (4, 5, 7, 8, 11, 31): the kernel resets
 * the disposition of such a one when it is raised while blocked, and our own steps raise SIGTRAP.
 */
export const SENT_SIGNALS: Uint8Array = Uint8Array.of(
  ...[0x27, 0xfb, 0xff, 0xbf, 0xff, 0xff, 0xff, 0xff],
);
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;
export const TRAP_HWBKPT = 4;

export const SYS_rt_tgsigqueueinfo = 297;
export const SYS_close = 3;
export const SYS_fcntl = 72;
export const SYS_mmap = 9;
export const SYS_mprotect = 10;
export const SYS_munmap = 11;
export const SYS_rt_sigaction = 13;
export const SYS_rt_sigprocmask = 14;
export const SYS_sched_yield = 24;
export const SYS_dup2 = 33;
export const SYS_clone = 56;
export const SYS_fork = 57;
export const SYS_vfork = 58;
export const SYS_execve = 59;
export const SYS_chdir = 80;
export const SYS_personality = 135;
export const SYS_open = 2;
export const SYS_timer_create = 222;
export const SYS_timer_settime = 223;
export const SYS_timer_delete = 226;
export const SYS_exit_group = 231;
export const SYS_epoll_wait = 232;
export const SYS_clone3 = 435;
export const SYS_epoll_pwait = 281;
export const SYS_epoll_pwait2 = 441;
export const SYS_rt_sigtimedwait = 128;
export const SYS_semop = 65;
export const SYS_semtimedop = 220;
export const SYS_io_getevents = 208;
export const SYS_pidfd_open = 434;

export const CLONE_VM = 0x100;
export const CLONE_FILES = 0x400;
export const CLONE_VFORK = 0x4000;
export const CLONE_THREAD = 0x10000;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_PRIVATE = 0x02;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_FIXED_NOREPLACE = 0x100000;

export const O_RDWR = 2;
export const O_CLOEXEC = 0x80000;
export const ADDR_NO_RANDOMIZE = 0x0040000;

/** How every thread is traced. */
export const TRACE_OPTIONS: number =
  PTRACE_O_TRACECLONE |
  PTRACE_O_TRACEFORK |
  PTRACE_O_TRACEVFORK |
  PTRACE_O_TRACEEXEC |
  PTRACE_O_TRACESYSGOOD;
